// SPDX-License-Identifier: Apache-2.0
// Compiled, never run: the public header is usable from C++.
#include <podcred/podcred.h>

extern "C" int header_cxx(int fd);

extern "C" int header_cxx(int fd)
{
	struct podcred_peer peer;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int r = podcred_peer(fd, &peer, sizeof(peer));

	if (r == 0)
		r = podcred_peer_wait(fd, &peer, sizeof(peer), 0);
	if (r == 0)
		r = podcred_original_destination(fd, reinterpret_cast<sockaddr *>(&addr), &len);
	return podcred_version()[0] != '\0' ? r : -1;
}
