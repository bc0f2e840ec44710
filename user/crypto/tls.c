// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls.h"

#include <openssl/ssl.h>

void crypto_tls_wipe_received(void *ssl_ctx)
{
	SSL_CTX_set_options(ssl_ctx, SSL_OP_CLEANSE_PLAINTEXT);
}
