/* SPDX-License-Identifier: Apache-2.0 */
/* The node's interfaces that podcred attaches to, in the network namespace of the caller. */
#pragma once

/*
 * Attach to every pod's interface and every uplink that has no program yet, and forget those that
 * are gone. Returns the number of links made. What could not be attached is in the log; nothing is,
 * where the load had neither tcx nor tc.
 */
int ifaces_attach(const char *pin_dir);

/* To those alone that routes to guarded addresses lead to: a route may change without any event of an
 * interface. */
int ifaces_attach_uplinks(const char *pin_dir);

/* Take the events from a links_watch_open() descriptor, and attach to what they brought. */
void ifaces_follow(int watch_fd, const char *pin_dir);
