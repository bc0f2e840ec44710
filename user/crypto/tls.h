/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a connection has received is wiped from the library's buffers as soon as it was read.
 * ssl_ctx: as libcurl hands it out. */
void crypto_tls_wipe_received(void *ssl_ctx);
