// SPDX-License-Identifier: Apache-2.0
/* The section credentials: of the configuration file. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config_section.h"

#define POD_IDENTITY_AUDIENCE "pods.eks.amazonaws.com"
#define STS_AUDIENCE	      "sts.amazonaws.com"
#define BROKER_TOKEN	      "/var/run/secrets/podcred/broker/token"
#define LETTERS_AND_DIGITS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static const char *const bool_words[] = {"false", "true"};
static const char *const source_words[] = {
	[CONFIG_SOURCE_STS] = "sts",	      [CONFIG_SOURCE_WEB_IDENTITY] = "webIdentity",
	[CONFIG_SOURCE_EKS_AUTH] = "eksAuth", [CONFIG_SOURCE_BROKER] = "broker",
	[CONFIG_SOURCE_ISSUER] = "issuer",
};
static const char *const verify_words[] = {
	[CONFIG_VERIFY_JWKS] = "jwks",
	[CONFIG_VERIFY_REVIEW] = "review",
	[CONFIG_VERIFY_OFF] = "off",
};
static const char *const pattern_words[] = {
	[CONFIG_PATTERN_GLOB] = "glob",
	[CONFIG_PATTERN_REGEXP] = "regexp",
};
static const char *const node_words[] = {
	[CONFIG_NODE_ENVIRONMENT] = "environment",
	[CONFIG_NODE_FILE] = "file",
	[CONFIG_NODE_WEB_IDENTITY] = "webIdentity",
	[CONFIG_NODE_IMDS] = "imds",
	[CONFIG_NODE_EXEC] = "exec",
	[CONFIG_NODE_ROLES_ANYWHERE] = "rolesAnywhere",
};

void config_credentials_default(struct config_credentials *ret)
{
	*ret = (struct config_credentials){
		.node = {{.kind = CONFIG_NODE_ENVIRONMENT},
			 {.kind = CONFIG_NODE_WEB_IDENTITY},
			 {.kind = CONFIG_NODE_FILE},
			 {.kind = CONFIG_NODE_IMDS}},
		.n_node = 4,
		.tokens.audience = POD_IDENTITY_AUDIENCE,
		.web_identity_audience = STS_AUDIENCE,
		.broker.token_file = BROKER_TOKEN,
	};
}

/* ---- values ---- */

bool config_is_printable(const char *s)
{
	for (const char *c = s; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	return *s;
}

/* "~" and an empty value are YAML's null. */
static bool is_word(const char *s)
{
	return config_is_printable(s) && strcmp(s, "~") != 0 && strcmp(s, "null") != 0;
}

static bool is_region(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static bool is_cluster(const char *s)
{
	return *s && *s != '-' && *s != '_' && strspn(s, LETTERS_AND_DIGITS "-_") == strlen(s);
}

/* arn:aws:eks:REGION:ACCOUNT:cluster/NAME */
static bool is_cluster_arn(const char *s)
{
	char partition[32], region[64], account[16];
	int at = 0;

	if (sscanf(s, "arn:%31[a-z0-9-]:eks:%63[a-z0-9-]:%15[0-9]:cluster/%n", partition, region,
		   account, &at) != 3 ||
	    !at)
		return false;
	return !strncmp(partition, "aws", 3) && strlen(account) == 12 && is_cluster(s + at);
}

static bool is_url(const char *s)
{
	size_t scheme = !strncmp(s, "http://", 7) ? 7 : !strncmp(s, "https://", 8) ? 8 : 0;

	return scheme && config_is_printable(s) && s[scheme] && s[scheme] != '/' &&
	       !strpbrk(s, "?#\"\\<>@");
}

static bool is_path(const char *s)
{
	if (*s != '/')
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static bool is_role_arn(const char *s)
{
	char partition[32], account[16];
	int at = 0;

	if (sscanf(s, "arn:%31[a-z0-9-]:iam::%15[0-9]:role/%n", partition, account, &at) != 2 ||
	    !at)
		return false;
	return !strncmp(partition, "aws", 3) && strlen(account) == 12 && s[at] &&
	       strspn(s + at, LETTERS_AND_DIGITS "+=,.@_-/") == strlen(s + at);
}

/* An ARN, or what stands behind the base ARN: NAME or PATH/NAME. */
static bool is_role(const char *s)
{
	size_t len = strlen(s);

	if (!len || *s == '/' || s[len - 1] == '/')
		return false;
	return is_role_arn(s) || strspn(s, LETTERS_AND_DIGITS "+=,.@_-/") == len;
}

/* "arn:aws:iam::111122223333:role/", perhaps with a path */
static bool is_base_arn(const char *s)
{
	size_t len = strlen(s);
	char copy[CONFIG_ARN_SIZE];

	if (len + 2 > sizeof(copy) || !len || s[len - 1] != '/')
		return false;
	snprintf(copy, sizeof(copy), "%sx", s);
	return is_role_arn(copy);
}

static bool is_text(const char *s)
{
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return *s;
}

/* ---- nodeCredentials ---- */

struct packed {
	const struct yml_source *src;
	const char *what;
	char *to;
	size_t size, len;
};

/* name (NULL: none) and value with a NUL, and room for the NUL at the end of all. */
static int pack(struct packed *packed, const struct yml_node *node, const char *name,
		const char *value)
{
	int n = snprintf(packed->to + packed->len, packed->size - packed->len, "%s%s%s", name ?: "",
			 name ? "=" : "", value);

	if ((size_t)n + 2 > packed->size - packed->len)
		return yml_bad(packed->src, node, "'%s' is longer than %zu bytes; shorten it",
			       packed->what, packed->size - 2);
	packed->len += (size_t)n + 1;
	packed->to[packed->len] = '\0';
	return 0;
}

static int node_command(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_node_credentials *credentials = target;
	struct packed packed = {src, "command", credentials->command, sizeof(credentials->command),
				0};

	if (node->kind != YML_LIST || !node->len)
		return yml_bad(src, node,
			       "bad value of 'command'; write a list of a program's absolute path "
			       "and its arguments");
	for (const struct yml_node *i = node->first; i; i = i->next) {
		const char *text = yml_text(i);
		int r;

		if (!text || !is_text(text) || (i == node->first && !is_path(text)))
			return yml_bad(src, i, "bad entry of 'command'; write %s",
				       i == node->first ? "the program's absolute path"
							: "printable text that is not empty");
		r = pack(&packed, i, NULL, text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int node_environment(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_node_credentials *credentials = target;
	struct packed packed = {src, "environment", credentials->environment,
				sizeof(credentials->environment), 0};

	if (node->kind != YML_MAPPING)
		return yml_bad(src, node,
			       "'environment' is no mapping; write \"NAME: value\" lines");
	for (const struct yml_node *i = node->first; i; i = i->next->next) {
		const char *name = yml_text(i), *value = yml_text(i->next);
		int r;

		if (!name || !*name || strspn(name, LETTERS_AND_DIGITS "_") != strlen(name))
			return yml_bad(src, i,
				       "bad name in 'environment'; write letters, digits and _");
		if (!value || !is_text(value))
			return yml_bad(src, i->next,
				       "bad value in 'environment'; write printable text");
		r = pack(&packed, i, name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

#define NODE_PATH(name)                                                                            \
	YML_COPY(name, struct config_node_credentials, path, is_path, "an absolute path")

static int node_file(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		NODE_PATH("path"),
		YML_COPY("profile", struct config_node_credentials, profile, is_text,
			 "a profile's name, up to 127 characters"),
	};

	((struct config_node_credentials *)target)->kind = CONFIG_NODE_FILE;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int node_web_identity(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	static const struct yml_key keys[] = {
		NODE_PATH("tokenFile"),
		YML_COPY("roleArn", struct config_node_credentials, role_arn, is_role_arn,
			 "an ARN as arn:aws:iam::111122223333:role/NAME"),
	};

	((struct config_node_credentials *)target)->kind = CONFIG_NODE_WEB_IDENTITY;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int node_exec(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_REQUIRED("command", node_command),
		YML_KEY("environment", node_environment),
	};

	((struct config_node_credentials *)target)->kind = CONFIG_NODE_EXEC;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

/* arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID or profile/ID */
static bool is_anywhere_arn(const char *s)
{
	char partition[32], region[64], account[16];
	int at = 0;

	if (sscanf(s, "arn:%31[a-z0-9-]:rolesanywhere:%63[a-z0-9-]:%15[0-9]:%n", partition, region,
		   account, &at) != 3 ||
	    !at)
		return false;
	return strlen(account) == 12 && s[at] &&
	       strspn(s + at, LETTERS_AND_DIGITS "-/") == strlen(s + at);
}

#define ANYWHERE(name_, member_, valid_, wants_)                                                   \
	{                                                                                          \
		.name = (name_), YML_MEMBER(struct config_node_credentials, member_),              \
		.valid = (valid_), .wants = (wants_), .copied = true, .required = true             \
	}

static int node_roles_anywhere(const struct yml_source *src, const struct yml_node *node,
			       void *target)
{
	static const struct yml_key keys[] = {
		ANYWHERE("certificate", path, is_path, "an absolute path"),
		ANYWHERE("key", key, is_path, "an absolute path"),
		ANYWHERE("trustAnchorArn", trust_anchor_arn, is_anywhere_arn,
			 "an ARN as arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID"),
		ANYWHERE("profileArn", profile_arn, is_anywhere_arn,
			 "an ARN as arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID"),
		ANYWHERE("roleArn", role_arn, is_role_arn,
			 "an ARN as arn:aws:iam::111122223333:role/NAME"),
	};

	((struct config_node_credentials *)target)->kind = CONFIG_NODE_ROLES_ANYWHERE;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

/* A word, or a mapping with one key that says more. */
static int read_node(const struct yml_source *src, const struct yml_node *node,
		     struct config_node_credentials *ret)
{
	static const struct yml_key keys[] = {
		YML_KEY("file", node_file),
		YML_KEY("webIdentity", node_web_identity),
		YML_KEY("exec", node_exec),
		YML_KEY("rolesAnywhere", node_roles_anywhere),
	};
	uint64_t kind = 0;
	int r;

	if (node->kind == YML_MAPPING)
		return node->len == 2 ? yml_mapping(src, node, keys, ARRAY_SIZE(keys), ret)
				      : yml_bad(src, node,
						"an entry of nodeCredentials has one key; write a "
						"second entry for another");
	r = yml_word(src, node, "nodeCredentials", node_words, ARRAY_SIZE(node_words), &kind);
	if (r == 0 && kind == CONFIG_NODE_EXEC)
		return yml_bad(src, node, "exec needs a program; write exec: {command: [PATH]}");
	if (r == 0 && kind == CONFIG_NODE_ROLES_ANYWHERE)
		return yml_bad(src, node,
			       "rolesAnywhere needs to be told more; write rolesAnywhere: "
			       "{certificate, key, trustAnchorArn, profileArn, roleArn}");
	ret->kind = (uint8_t)kind;
	return r;
}

static int node_item(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_credentials *credentials = target;
	struct config_node_credentials entry = {};
	int r = read_node(src, node, &entry);

	if (r < 0)
		return r;
	for (size_t i = 0; i < credentials->n_node; i++)
		if (credentials->node[i].kind == entry.kind)
			return yml_bad(src, node, "%s is there twice; remove one",
				       node_words[entry.kind]);
	credentials->node[credentials->n_node++] = entry; /* there are as many as kinds, at most */
	return 0;
}

static int node_list(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_credentials *credentials = target;

	credentials->n_node = 0;
	memset(credentials->node, 0, sizeof(credentials->node));
	return yml_list(src, node, "nodeCredentials", node_item, target);
}

/* ---- what has keys of its own ---- */

static int read_cluster(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_COPY("name", struct config_credentials, cluster_name, is_cluster,
			 "1 to 100 letters, digits, - and _"),
		YML_COPY("arn", struct config_credentials, cluster_arn, is_cluster_arn,
			 "an ARN as arn:aws:eks:eu-west-1:111122223333:cluster/NAME"),
	};
	struct config_credentials *credentials = target;
	const char *name;
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);

	if (r < 0 || !credentials->cluster_arn[0])
		return r;
	name = strchr(credentials->cluster_arn, '/') + 1;
	if (credentials->cluster_name[0] && strcmp(credentials->cluster_name, name) != 0)
		return yml_bad(src, node,
			       "the cluster's name is \"%s\", and \"%s\" in its ARN; correct one",
			       credentials->cluster_name, name);
	snprintf(credentials->cluster_name, sizeof(credentials->cluster_name), "%s", name);
	return 0;
}

#define URL(name, member)                                                                          \
	YML_COPY(name, struct config_credentials, member, is_url, "an http or https URL")

static int read_endpoints(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		URL("sts", sts_endpoint),
		URL("eksAuth", eks_auth_endpoint),
		URL("rolesAnywhere", roles_anywhere_endpoint),
		URL("imds", imds_endpoint),
	};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int read_broker(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		URL("url", broker.url),
		YML_COPY("caBundle", struct config_credentials, broker.ca_bundle, is_path,
			 "an absolute path"),
		YML_COPY("tokenFile", struct config_credentials, broker.token_file, is_path,
			 "an absolute path"),
	};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int issuer_item(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_credentials *credentials = target;
	const char *text = yml_text(node);

	if (!text || !is_url(text) || node->len >= CONFIG_URL_SIZE)
		return yml_bad(src, node, "bad entry of 'issuers'; write a URL");
	if (credentials->tokens.n_issuers == CONFIG_MAX_ISSUERS)
		return yml_bad(src, node, "more than %d issuers", CONFIG_MAX_ISSUERS);
	strcpy(credentials->tokens.issuers[credentials->tokens.n_issuers++], text);
	return 0;
}

static int read_issuers(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "issuers", issuer_item, target);
}

#define AUDIENCE(name, member)                                                                     \
	YML_COPY(name, struct config_credentials, member, is_word, "an audience without spaces")

static int read_tokens(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_WORD("verify", struct config_credentials, tokens.verify, verify_words),
		AUDIENCE("audience", tokens.audience),
		YML_KEY("issuers", read_issuers),
	};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int read_web_identity(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	static const struct yml_key keys[] = {AUDIENCE("audience", web_identity_audience)};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

/* What holds credentials, or what those who made the instance wrote into it. */
static bool is_private(const char *path)
{
	static const char *const prefixes[] = {"meta-data/iam", "meta-data/identity-credentials",
					       "user-data", "api/"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncasecmp(path, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static int imds_item(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_credentials *credentials = target;
	const char *text = yml_text(node);

	if (!text || !*text || *text == '/' || node->len >= sizeof(credentials->imds[0]) ||
	    strspn(text, LETTERS_AND_DIGITS "-_./") != strlen(text) || strstr(text, "..") ||
	    strstr(text, "//"))
		return yml_bad(src, node,
			       "bad entry of 'allow'; write a path below /latest/, as "
			       "meta-data/placement/region, or meta-data/placement/ for all below "
			       "it");
	if (is_private(text))
		return yml_bad(
			src, node,
			"\"%.64s\" is never given to pods, as it may hold secrets; remove it",
			text);
	if (credentials->n_imds == CONFIG_MAX_IMDS)
		return yml_bad(src, node, "more than %d paths", CONFIG_MAX_IMDS);
	strcpy(credentials->imds[credentials->n_imds++], text);
	return 0;
}

static int imds_allow(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "allow", imds_item, target);
}

static int read_imds(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {YML_KEY("allow", imds_allow)};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int check_migration(const struct yml_source *src, const struct yml_node *node,
			   const struct config_credentials *credentials)
{
	const char *role = credentials->migration.default_role;

	if (*role && !credentials->migration.kube2iam)
		return yml_bad(src, node,
			       "defaultRole is kube2iam's; add kube2iam: true, or remove it");
	if (*role && !is_role_arn(role) && !credentials->migration.base_role_arn[0])
		return yml_bad(src, node,
			       "defaultRole is no ARN; write one, or give baseRoleArn too");
	return 0;
}

static int read_migration(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_WORD("kube2iam", struct config_credentials, migration.kube2iam, bool_words),
		YML_WORD("kiam", struct config_credentials, migration.kiam, bool_words),
		YML_WORD("irsa", struct config_credentials, migration.irsa, bool_words),
		YML_COPY("baseRoleArn", struct config_credentials, migration.base_role_arn,
			 is_base_arn,
			 "an ARN that ends with /, as arn:aws:iam::111122223333:role/"),
		YML_COPY("defaultRole", struct config_credentials, migration.default_role, is_role,
			 "an ARN as arn:aws:iam::111122223333:role/NAME, or a name"),
		YML_WORD("allowedRoles", struct config_credentials, migration.allowed_roles,
			 pattern_words),
	};
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);

	return r < 0 ? r : check_migration(src, node, target);
}

/* ---- the section ---- */

/* Tokens go to it, and credentials come from it. */
static bool is_safe_url(const char *url)
{
	static const char *const loopback[] = {"http://127.0.0.1:", "http://[::1]:"};

	for (size_t i = 0; i < ARRAY_SIZE(loopback); i++)
		if (!strncmp(url, loopback[i], strlen(loopback[i])))
			return true;
	return !strncmp(url, "https://", 8);
}

static int check_broker(const struct yml_source *src, const struct yml_node *node,
			const struct config_credentials *credentials)
{
	if (!credentials->cluster_name[0])
		return yml_bad(src, node,
			       "the source broker needs the cluster's name; add cluster: {name: "
			       "NAME}");
	if (!credentials->broker.url[0])
		return yml_bad(src, node,
			       "the source broker needs to know where it is; add broker: {url: "
			       "https://podcred-broker.podcred.svc:8443}");
	if (!is_safe_url(credentials->broker.url))
		return yml_bad(src, node,
			       "the broker's url is not https, and credentials come from there; "
			       "write https://");
	if (credentials->migration.irsa || credentials->migration.kube2iam ||
	    credentials->migration.kiam)
		return yml_bad(src, node,
			       "with the source broker it is the broker that reads annotations; "
			       "remove 'migration' here");
	return 0;
}

static int check_section(const struct yml_source *src, const struct yml_node *node,
			 const struct config_credentials *credentials)
{
	if (credentials->source == CONFIG_SOURCE_EKS_AUTH && !credentials->cluster_name[0])
		return yml_bad(src, node,
			       "the source eksAuth needs the cluster's name; add cluster: {name: "
			       "NAME}");
	if (credentials->source == CONFIG_SOURCE_BROKER)
		return check_broker(src, node, credentials);
	if ((credentials->sts_endpoint[0] || credentials->eks_auth_endpoint[0] ||
	     credentials->roles_anywhere_endpoint[0]) &&
	    (credentials->fips || credentials->dual_stack))
		return yml_bad(src, node,
			       "fips and dualStack choose among AWS's own endpoints; remove them, "
			       "or 'endpoints'");
	return 0;
}

int config_credentials_read(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_WORD("source", struct config_credentials, source, source_words),
		YML_COPY("region", struct config_credentials, region, is_region,
			 "a region as eu-west-1"),
		YML_KEY("cluster", read_cluster),
		YML_KEY("endpoints", read_endpoints),
		YML_KEY("broker", read_broker),
		YML_WORD("fips", struct config_credentials, fips, bool_words),
		YML_WORD("dualStack", struct config_credentials, dual_stack, bool_words),
		URL("proxy", proxy),
		YML_COPY("noProxy", struct config_credentials, no_proxy, is_text,
			 "names and addresses with commas between them"),
		YML_COPY("caBundle", struct config_credentials, ca_bundle, is_path,
			 "an absolute path"),
		YML_KEY("nodeCredentials", node_list),
		YML_KEY("tokens", read_tokens),
		YML_KEY("webIdentity", read_web_identity),
		YML_KEY("migration", read_migration),
		YML_KEY("imds", read_imds),
		YML_WORD("objects", struct config_credentials, objects, bool_words),
	};
	struct config *config = target;
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &config->credentials);

	config->credentials.given = true;
	return r < 0 ? r : check_section(src, node, &config->credentials);
}
