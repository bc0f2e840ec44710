// SPDX-License-Identifier: Apache-2.0
/* Certificates that podcred makes, as the library and the openssl program read them. */
/* MODULES: crypto base */
/* LIBS: -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "crypto/issue.h"

#define NOW  1780000000
#define DAY  86400
#define NAME "podcred-control.podcred.svc"

static const char *const names[] = {NAME, NAME ".cluster.local", NULL};
static const struct crypto_validity ten_years = {NOW - 300, NOW + 3650L * DAY};
static const struct crypto_validity quarter = {NOW - 300, NOW + 90L * DAY};

static struct crypto_pem authority(const char *name)
{
	struct crypto_pem pem;

	assert_int_equal(crypto_issue_authority(name, &ten_years, &pem), 0);
	return pem;
}

static struct crypto_pem server_of(const struct crypto_pem *ca)
{
	struct crypto_pem pem;

	assert_int_equal(crypto_issue_server(ca, names, &quarter, &pem), 0);
	return pem;
}

static void a_client_of_the_authority_accepts_it(void **state)
{
	_cleanup_(crypto_pem_done) struct crypto_pem ca = authority("podcred"),
						     other = authority("podcred");
	_cleanup_(crypto_pem_done) struct crypto_pem server = server_of(&ca);
	struct crypto_validity validity;

	(void)state;
	assert_int_equal(crypto_pem_check(&ca), 0);
	assert_int_equal(crypto_pem_check(&server), 0);
	for (size_t i = 0; names[i]; i++)
		assert_int_equal(
			crypto_bundle_accepts(ca.certificate, server.certificate, names[i], NOW),
			0);
	assert_int_equal(crypto_pem_validity(server.certificate, &validity), 0);
	assert_int_equal(validity.from, quarter.from);
	assert_int_equal(validity.to, quarter.to);
	/* of the same name, and with another key */
	assert_int_equal(crypto_bundle_accepts(other.certificate, server.certificate, NAME, NOW),
			 -EKEYREJECTED);
	assert_int_equal(crypto_bundle_accepts(ca.certificate, server.certificate, "podcred", NOW),
			 -EKEYREJECTED);
	assert_int_equal(crypto_bundle_accepts(ca.certificate, server.certificate, NAME, NOW - DAY),
			 -EKEYREJECTED);
	assert_int_equal(
		crypto_bundle_accepts(ca.certificate, server.certificate, NAME, NOW + 91L * DAY),
		-EKEYREJECTED);
	/* it vouches for nobody, and an authority is no server */
	assert_int_equal(crypto_bundle_accepts(server.certificate, server.certificate, "x", NOW),
			 -EKEYREJECTED);
	assert_int_equal(crypto_bundle_accepts(ca.certificate, ca.certificate, NAME, NOW),
			 -EKEYREJECTED);
}

static void a_bundle_holds_the_old_and_the_new_one(void **state)
{
	_cleanup_(crypto_pem_done) struct crypto_pem old = authority("a"), new = authority("b");
	_cleanup_(crypto_pem_done) struct crypto_pem server = server_of(&old);
	_cleanup_free_ char *bundle = NULL, *first = NULL;

	(void)state;
	assert_true(asprintf(&bundle, "%s%s", new.certificate, old.certificate) > 0);
	assert_int_equal(crypto_bundle_count(bundle), 2);
	assert_int_equal(crypto_bundle_accepts(bundle, server.certificate, NAME, NOW), 0);
	assert_int_equal(crypto_bundle_first(bundle, &first), 0);
	assert_string_equal(first, new.certificate);
	assert_int_equal(crypto_bundle_accepts(first, server.certificate, NAME, NOW),
			 -EKEYREJECTED);
}

static void nothing_outlives_its_issuer(void **state)
{
	const struct crypto_validity long_time = {NOW, NOW + 36500L * DAY},
				     later = {ten_years.to + 1, ten_years.to + 2};
	_cleanup_(crypto_pem_done) struct crypto_pem ca = authority("podcred"), server = {};
	struct crypto_validity validity;

	(void)state;
	assert_int_equal(crypto_issue_server(&ca, names, &long_time, &server), 0);
	assert_int_equal(crypto_pem_validity(server.certificate, &validity), 0);
	assert_int_equal(validity.to, ten_years.to);
	assert_int_equal(crypto_issue_server(&ca, names, &later, &server), -EINVAL);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[][2] = {{"a,DNS:evil"}, {"A"},   {""},
					     {"a b"},	     {"*.a"}, {"a\nb"}};
	static const char *const none[] = {NULL};
	_cleanup_(crypto_pem_done) struct crypto_pem ca = authority("podcred"),
						     other = authority("podcred");
	const struct crypto_pem mixed = {ca.certificate, other.key}, empty = {"", ""};
	const struct crypto_validity backwards = {NOW, NOW};
	struct crypto_pem made;
	_cleanup_free_ char *cut = strdup(ca.certificate), *bundle = NULL;
	struct crypto_validity validity;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(crypto_issue_server(&ca, bad[i], &quarter, &made), -EINVAL);
	assert_int_equal(crypto_issue_server(&ca, none, &quarter, &made), -EINVAL);
	assert_int_equal(crypto_issue_server(&mixed, names, &quarter, &made), -EINVAL);
	assert_int_equal(crypto_issue_server(&empty, names, &quarter, &made), -EINVAL);
	assert_int_equal(crypto_issue_server(&ca, names, &backwards, &made), -EINVAL);
	assert_int_equal(crypto_issue_authority("", &ten_years, &made), -EINVAL);
	assert_int_equal(crypto_issue_authority("p", &backwards, &made), -EINVAL);
	assert_int_equal(crypto_pem_check(&mixed), -ENOKEY);
	assert_int_equal(crypto_pem_check(&empty), -EINVAL);
	assert_int_equal(crypto_bundle_count("nothing"), -EINVAL);
	cut[strlen(cut) / 2] = 0;
	assert_true(asprintf(&bundle, "%s%s", ca.certificate, cut) > 0);
	assert_int_equal(crypto_bundle_count(bundle), -EINVAL);
	assert_int_equal(crypto_pem_validity(cut, &validity), -EINVAL);
	assert_int_equal(crypto_bundle_accepts(bundle, ca.certificate, NAME, NOW), -EINVAL);
}

/* Another reader: what is in them. */
static void openssl_shows(const char *pem, const char *const *wanted)
{
	char path[] = "/tmp/podcred-issue-XXXXXX", command[128], text[16384] = "";
	int fd = mkstemp(path);
	FILE *pipe;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
	close(fd);
	snprintf(command, sizeof(command), "openssl x509 -noout -text -in %s", path);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	assert_true(fread(text, 1, sizeof(text) - 1, pipe) > 0);
	assert_int_equal(pclose(pipe), 0);
	unlink(path);
	for (; *wanted; wanted++)
		if (!strstr(text, *wanted))
			fail_msg("%s is not in: %s", *wanted, text);
}

static void they_say_what_they_are_for(void **state)
{
	static const char *const of_ca[] = {"Version: 3",
					    "prime256v1",
					    "CA:TRUE, pathlen:0",
					    "Certificate Sign, CRL Sign",
					    "Subject Key Identifier",
					    "ecdsa-with-SHA256",
					    NULL};
	static const char *const of_server[] = {"Version: 3",
						"prime256v1",
						"CA:FALSE",
						"TLS Web Server Authentication",
						"Digital Signature",
						"Authority Key Identifier",
						"DNS:" NAME ", DNS:" NAME ".cluster.local",
						NULL};
	_cleanup_(crypto_pem_done) struct crypto_pem ca = authority("podcred"),
						     server = server_of(&ca);

	(void)state;
	openssl_shows(ca.certificate, of_ca);
	openssl_shows(server.certificate, of_server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_of_the_authority_accepts_it),
		cmocka_unit_test(a_bundle_holds_the_old_and_the_new_one),
		cmocka_unit_test(nothing_outlives_its_issuer),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(they_say_what_they_are_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
