// SPDX-License-Identifier: Apache-2.0
/* MODULES: config yaml base */
/* LIBS: -lyaml */
/* The section credentials: of the configuration. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/config.h"

#define CLUSTER "arn:aws:eks:eu-west-1:111122223333:cluster/demo"
#define ROLE	"arn:aws:iam::111122223333:role/"

static struct config config;

static int load(const char *text, struct pc_err *err)
{
	_cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return config_read(fd, "c", &config, err);
}

/* Of lines below credentials:. */
static const struct config_credentials *section(const char *lines)
{
	char text[8192];
	struct pc_err err = {};

	snprintf(text, sizeof(text), "credentials:\n%s", lines);
	if (load(text, &err) < 0)
		fail_msg("%s\n%s", err.msg, text);
	return &config.credentials;
}

static void test_defaults(void **state)
{
	const struct config_credentials *c = &config.credentials;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("", &err), 0);
	assert_int_equal(c->source, CONFIG_SOURCE_STS);
	assert_int_equal(c->n_node, 4);
	assert_int_equal(c->node[0].kind, CONFIG_NODE_ENVIRONMENT);
	assert_int_equal(c->node[3].kind, CONFIG_NODE_IMDS);
	assert_string_equal(c->tokens.audience, "pods.eks.amazonaws.com");
	assert_string_equal(c->web_identity_audience, "sts.amazonaws.com");
	assert_int_equal(c->tokens.verify, CONFIG_VERIFY_JWKS);
	assert_string_equal(c->region, "");
	assert_false(c->objects || c->migration.kube2iam || c->migration.kiam || c->migration.irsa);
	assert_int_equal(c->n_imds, 0);
}

static void test_everything(void **state)
{
	const struct config_credentials *c = section(
		"  source: webIdentity\n  region: eu-west-1\n"
		"  cluster: {arn: '" CLUSTER "'}\n"
		"  endpoints: {sts: 'https://sts.example:8443', eksAuth: 'http://eks', imds: "
		"'http://[::1]:80'}\n"
		"  proxy: http://proxy:3128\n  noProxy: .internal,10.0.0.0/8\n  caBundle: "
		"/etc/ca.pem\n"
		"  nodeCredentials:\n"
		"  - file: {path: /etc/keys, profile: my own}\n"
		"  - webIdentity: {tokenFile: /run/token, roleArn: '" ROLE "node'}\n"
		"  - exec: {command: [/bin/keys, -p, x y], environment: {A: b=c, _B2: d}}\n"
		"  - imds\n"
		"  tokens: {verify: review, audience: mine, issuers: ['https://a/b', "
		"'https://c']}\n"
		"  webIdentity: {audience: aud}\n"
		"  migration: {kube2iam: true, kiam: true, irsa: true, baseRoleArn: '" ROLE "x/',\n"
		"    defaultRole: a/usual, allowedRoles: regexp}\n"
		"  imds: {allow: [meta-data/placement/, meta-data/instance-id]}\n"
		"  objects: true\n");

	(void)state;
	assert_int_equal(c->source, CONFIG_SOURCE_WEB_IDENTITY);
	assert_string_equal(c->region, "eu-west-1");
	assert_string_equal(c->cluster_name, "demo");
	assert_string_equal(c->cluster_arn, CLUSTER);
	assert_string_equal(c->sts_endpoint, "https://sts.example:8443");
	assert_string_equal(c->imds_endpoint, "http://[::1]:80");
	assert_string_equal(c->no_proxy, ".internal,10.0.0.0/8");
	assert_int_equal(c->n_node, 4);
	assert_string_equal(c->node[0].path, "/etc/keys");
	assert_string_equal(c->node[0].profile, "my own");
	assert_string_equal(c->node[1].role_arn, ROLE "node");
	assert_int_equal(c->node[2].kind, CONFIG_NODE_EXEC);
	assert_memory_equal(c->node[2].command, "/bin/keys\0-p\0x y\0", 18);
	assert_memory_equal(c->node[2].environment, "A=b=c\0_B2=d\0", 13);
	assert_int_equal(c->node[3].kind, CONFIG_NODE_IMDS);
	assert_int_equal(c->tokens.verify, CONFIG_VERIFY_REVIEW);
	assert_int_equal(c->tokens.n_issuers, 2);
	assert_string_equal(c->tokens.issuers[1], "https://c");
	assert_string_equal(c->web_identity_audience, "aud");
	assert_true(c->migration.kube2iam && c->migration.kiam && c->migration.irsa);
	assert_string_equal(c->migration.base_role_arn, ROLE "x/");
	assert_string_equal(c->migration.default_role, "a/usual");
	assert_int_equal(c->migration.allowed_roles, CONFIG_PATTERN_REGEXP);
	assert_int_equal(c->n_imds, 2);
	assert_string_equal(c->imds[0], "meta-data/placement/");
	assert_true(c->objects);
}

static const struct {
	const char *lines, *want;
} bad[] = {
	{"  sauce: sts\n", ":2: unknown key \"sauce\""},
	{"  source: iam\n",
	 ":2: source \"iam\" is not sts, webIdentity, eksAuth, broker or issuer"},
	{"  source: eksAuth\n", "the source eksAuth needs the cluster's name"},
	{"  region: Europe\n", ":2: bad value of 'region'"},
	{"  region:\n", ":2: bad value of 'region'"},
	{"  cluster: {name: '-x'}\n", ":2: bad value of 'name'"},
	{"  cluster: {arn: 'arn:aws:eks:r:1:cluster/demo'}\n", ":2: bad value of 'arn'"},
	{"  cluster: {name: other, arn: '" CLUSTER "'}\n", "is \"other\", and \"demo\" in its ARN"},
	{"  endpoints: {sts: sts.example}\n", ":2: bad value of 'sts'"},
	{"  endpoints: {sts: 'https://'}\n", ":2: bad value of 'sts'"},
	{"  endpoints: {sts: 'https://user@host'}\n", ":2: bad value of 'sts'"},
	{"  endpoints: {ec2: 'https://x'}\n", "unknown key \"ec2\""},
	{"  endpoints: {sts: 'https://x'}\n  fips: true\n", "fips and dualStack"},
	{"  fips: yes\n", "fips \"yes\" is not false or true"},
	{"  proxy: socks5://x\n", ":2: bad value of 'proxy'"},
	{"  caBundle: ca.pem\n", ":2: bad value of 'caBundle'; write an absolute path"},
	{"  nodeCredentials: imds\n", "expected a list"},
	{"  nodeCredentials: [imds, imds]\n", "imds is there twice"},
	{"  nodeCredentials: [keychain]\n",
	 "nodeCredentials \"keychain\" is not environment, file"},
	{"  nodeCredentials: [exec]\n", "exec needs a program"},
	{"  nodeCredentials: [{exec: {command: [keys]}}]\n", "the program's absolute path"},
	{"  nodeCredentials: [{exec: {command: []}}]\n", "bad value of 'command'"},
	{"  nodeCredentials: [{exec: {}}]\n", "missing key 'command'"},
	{"  nodeCredentials: [{exec: {command: [/a], environment: {'A=': b}}}]\n",
	 "bad name in 'environment'"},
	{"  nodeCredentials: [{file: {}, exec: {command: [/a]}}]\n", "has one key"},
	{"  nodeCredentials: [{file: {path: keys}}]\n", "bad value of 'path'"},
	{"  nodeCredentials: [{imds: {}}]\n", "unknown key \"imds\""},
	{"  nodeCredentials: [rolesAnywhere]\n", "rolesAnywhere needs to be told more"},
	{"  nodeCredentials: [{rolesAnywhere: {certificate: /c}}]\n", "missing key"},
	{"  nodeCredentials: [{rolesAnywhere: {certificate: c, key: /k}}]\n",
	 "bad value of 'certificate'"},
	{"  nodeCredentials: [{rolesAnywhere: {certificate: /c, key: /k, trustAnchorArn: x}}]\n",
	 "bad value of 'trustAnchorArn'"},
	{"  source: broker\n", "the source broker needs the cluster's name"},
	{"  source: broker\n  cluster: {name: demo}\n", "needs to know where it is"},
	{"  source: broker\n  cluster: {name: demo}\n  broker: {url: 'http://broker:8443'}\n",
	 "is not https"},
	{"  source: broker\n  cluster: {name: demo}\n  broker: {url: 'https://b'}\n  migration: "
	 "{irsa: true}\n",
	 "it is the broker that reads annotations"},
	{"  broker: {url: 'https://b', token: /t}\n", "unknown key \"token\""},
	{"  tokens: {verify: never}\n", "verify \"never\" is not jwks, review or off"},
	{"  tokens: {audience: a b}\n", "bad value of 'audience'"},
	{"  tokens: {issuers: [issuer]}\n", "bad entry of 'issuers'"},
	{"  migration: {baseRoleArn: '" ROLE "x'}\n",
	 "bad value of 'baseRoleArn'; write an ARN that ends with /"},
	{"  migration: {defaultRole: usual}\n", "defaultRole is kube2iam's"},
	{"  migration: {kube2iam: true, defaultRole: usual}\n", "give baseRoleArn too"},
	{"  migration: {kube2iam: true, defaultRole: '" ROLE "'}\n", "bad value of 'defaultRole'"},
	{"  migration: {allowedRoles: sql}\n", "allowedRoles \"sql\" is not glob or regexp"},
	{"  imds: {allow: [/latest/meta-data/]}\n", "a path below /latest/"},
	{"  imds: {allow: [meta-data/../user-data]}\n", "a path below /latest/"},
	{"  imds: {allow: ['meta-data/%2e']}\n", "a path below /latest/"},
	{"  imds: {allow: ['']}\n", "a path below /latest/"},
	{"  imds: {allow: [meta-data/iam/info]}\n", "is never given to pods"},
	{"  imds: {allow: [User-Data]}\n", "is never given to pods"},
	{"  objects: maybe\n", "objects \"maybe\" is not false or true"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[4096];
		struct pc_err err = {};

		snprintf(text, sizeof(text), "credentials:\n%s", bad[i].lines);
		if (load(text, &err) >= 0)
			fail_msg("accepted: %s", text);
		if (!strstr(err.msg, bad[i].want) || strchr(err.msg, '\n'))
			fail_msg("%s\nfor %s", err.msg, text);
	}
}

#define ANYWHERE "arn:aws:rolesanywhere:eu-west-1:111122223333:"

static void test_roles_anywhere(void **state)
{
	const struct config_credentials *c =
		section("  nodeCredentials:\n"
			"    - rolesAnywhere: {certificate: /c, key: /k, trustAnchorArn: '" ANYWHERE
			"trust-anchor/0-1',\n        profileArn: '" ANYWHERE
			"profile/2', roleArn: '" ROLE "broker'}\n");

	(void)state;
	assert_int_equal(c->n_node, 1);
	assert_int_equal(c->node[0].kind, CONFIG_NODE_ROLES_ANYWHERE);
	assert_string_equal(c->node[0].path, "/c");
	assert_string_equal(c->node[0].key, "/k");
	assert_string_equal(c->node[0].trust_anchor_arn, ANYWHERE "trust-anchor/0-1");
	assert_string_equal(c->node[0].profile_arn, ANYWHERE "profile/2");
	assert_string_equal(c->node[0].role_arn, ROLE "broker");
}

static void test_source_broker(void **state)
{
	const struct config_credentials *c =
		section("  source: broker\n  cluster: {name: demo}\n"
			"  broker: {url: 'https://b:8443', caBundle: /ca}\n");

	(void)state;
	assert_int_equal(c->source, CONFIG_SOURCE_BROKER);
	assert_string_equal(c->broker.url, "https://b:8443");
	assert_string_equal(c->broker.ca_bundle, "/ca");
	assert_string_equal(c->broker.token_file, "/var/run/secrets/podcred/broker/token");
}

/* The section broker, of podcred broker itself. */
static void test_broker(void **state)
{
	static const char *const wrong[] = {
		"broker: {}\n",
		"broker: {agents: podcred}\n",
		"broker: {agents: [podcred]}\n",
		"broker: {agents: [A/b]}\n",
		"broker: {agents: [a/b/c]}\n",
		"broker: {agents: [a/b], audience: 'a b'}\n",
		"broker: {agents: [a/b], whenApiIsAway: allow}\n",
		"broker: {agents: [a/b], roles: all}\n",
	};
	struct pc_err err = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (load(wrong[i], &err) != -EINVAL)
			fail_msg("accepted: %s", wrong[i]);
	assert_int_equal(load("broker: {agents: [podcred/agent, b/c.d], control: [e/f], "
			      "whenApiIsAway: jwks}\n",
			      &err),
			 0);
	assert_true(config.broker.given);
	assert_int_equal(config.broker.agents.n, 2);
	assert_string_equal(config.broker.agents.v[1].name_space, "b");
	assert_string_equal(config.broker.agents.v[1].name, "c.d");
	assert_string_equal(config.broker.control.v[0].name, "f");
	assert_string_equal(config.broker.audience, "podcred-broker");
	assert_int_equal(config.broker.when_api_is_away, CONFIG_API_AWAY_KEYS);
}

/* The broker as an issuer: what IAM would not take is refused, and half of it too. */
static void test_issuer(void **state)
{
	static const char head[] = "credentials: {source: issuer}\nbroker: {agents: [a/b]";
	static const struct {
		const char *text, *what;
	} wrong[] = {
		{"credentials: {source: issuer}\n", "the source issuer needs to know who it is"},
		{"credentials: {source: issuer}\nbroker: {agents: [a/b]}\n", "add broker: {issuer"},
		{"broker: {agents: [a/b], issuer: {url: 'https://o/d', keys: /k}}\n",
		 "for the source issuer only"},
	};
	static const char *const issuers[] = {
		"{url: 'https://o/d'}",
		"{keys: /k}",
		"{url: 'http://o/d', keys: /k}",
		"{url: 'https://o/d/', keys: /k}",
		"{url: 'https://o/', keys: /k}",
		"{url: 'https://', keys: /k}",
		"{url: 'https:///d', keys: /k}",
		"{url: 'https://o:8443/d', keys: /k}",
		"{url: 'https://o/d?x=1', keys: /k}",
		"{url: 'https://o/d#x', keys: /k}",
		"{url: 'https://u@o/d', keys: /k}",
		"{url: 'https://o//d', keys: /k}",
		"{url: 'https://o/\"', keys: /k}",
		"{url: 'https://o/d', keys: k}",
		"{url: 'https://o/d', keys: /k, audience: x}",
	};
	struct pc_err err = {};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(load(wrong[i].text, &err), -EINVAL);
		if (!strstr(err.msg, wrong[i].what))
			fail_msg("\"%s\" does not say: %s", err.msg, wrong[i].what);
	}
	for (size_t i = 0; i < ARRAY_SIZE(issuers); i++) {
		snprintf(text, sizeof(text), "%s, issuer: %s}\n", head, issuers[i]);
		if (load(text, &err) != -EINVAL)
			fail_msg("accepted: %s", text);
	}
	snprintf(text, sizeof(text), "%s, issuer: {url: 'https://o/d/e', keys: /k}}\n", head);
	assert_int_equal(load(text, &err), 0);
	assert_int_equal(config.credentials.source, CONFIG_SOURCE_ISSUER);
	assert_string_equal(config.broker.issuer.url, "https://o/d/e");
	assert_string_equal(config.broker.issuer.keys, "/k");
	snprintf(text, sizeof(text), "%s, issuer: {url: 'https://%0248d', keys: /k}}\n", head, 0);
	assert_int_equal(load(text, &err), -EINVAL);
}

/* What does not fit is refused, and what just fits is all there. */
static void test_long(void **state)
{
	char line[8192], path[CONFIG_PATH_SIZE + 1];
	struct pc_err err = {};

	(void)state;
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	for (size_t len = CONFIG_PATH_SIZE - 1; len <= CONFIG_PATH_SIZE; len++) {
		path[len] = '\0';
		snprintf(line, sizeof(line), "credentials:\n  caBundle: %s\n", path);
		assert_int_equal(load(line, &err), len < CONFIG_PATH_SIZE ? 0 : -EINVAL);
		if (len < CONFIG_PATH_SIZE)
			assert_string_equal(config.credentials.ca_bundle, path);
		path[len] = 'p';
	}
	memset(line, 0, sizeof(line));
	strcpy(line, "credentials:\n  nodeCredentials: [{exec: {command: [/a, ");
	memset(line + strlen(line), 'b', 4200);
	strcat(line, "]}}]\n");
	assert_int_equal(load(line, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'command' is longer than"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_roles_anywhere),
		cmocka_unit_test(test_source_broker),
		cmocka_unit_test(test_broker),
		cmocka_unit_test(test_issuer),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
