// SPDX-License-Identifier: Apache-2.0
#include "aws/endpoint.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

#define REGION_MAX 63 /* of a label in DNS */
#define LOWER	   "abcdefghijklmnopqrstuvwxyz"
#define DIGITS	   "0123456789"
#define WORD	   LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ_" DIGITS

/* A region is PREFIX-WORD-NUMBER; these are the prefixes, between blanks. */
static const struct row {
	struct aws_partition partition;
	const char *prefixes;
} rows[] = {
	{{"aws", "amazonaws.com", "api.aws", "us-east-1"}, " us eu ap sa ca me af il mx "},
	{{"aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "cn-northwest-1"}, " cn "},
	{{"aws-us-gov", "amazonaws.com", "api.aws", "us-gov-west-1"}, " us-gov "},
	{{"aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu", "eusc-de-east-1"}, " eusc-de "},
	{{"aws-iso", "c2s.ic.gov", "api.aws.ic.gov", "us-iso-east-1"}, " us-iso "},
	{{"aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud", "us-isob-east-1"}, " us-isob "},
	{{"aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "eu-isoe-west-1"}, " eu-isoe "},
	{{"aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov", "us-isof-south-1"}, " us-isof "},
};

/* ---- partitions ---- */

/* The length of what stands before -WORD-NUMBER; 0: it is not made so. */
static size_t prefix_len(const char *region)
{
	const char *number = strrchr(region, '-');
	const char *word = number ? memrchr(region, '-', (size_t)(number - region)) : NULL;

	if (!word || !number[1] || number[1 + strspn(number + 1, DIGITS)] || word + 1 == number ||
	    strspn(word + 1, WORD) < (size_t)(number - word - 1))
		return 0;
	return (size_t)(word - region);
}

const struct aws_partition *aws_partition_of(const char *region)
{
	size_t len = prefix_len(region);
	char word[REGION_MAX + 3];

	if (len && len <= REGION_MAX) {
		snprintf(word, sizeof(word), " %.*s ", (int)len, region);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			if (strstr(rows[i].prefixes, word))
				return &rows[i].partition;
	}
	return &rows[0].partition;
}

const struct aws_partition *aws_partition_named(const char *id, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].partition.id) == len && !memcmp(rows[i].partition.id, id, len))
			return &rows[i].partition;
	return NULL;
}

bool aws_is_region(const char *text)
{
	size_t len = strnlen(text, REGION_MAX + 1);

	return len && len <= REGION_MAX && strspn(text, LOWER DIGITS "-") == len &&
	       text[0] != '-' && text[len - 1] != '-';
}

/* ---- a URL of somebody's own ---- */

/* [::1], or a name or an address. */
static size_t host_len(const char *text)
{
	size_t len;

	if (*text != '[')
		return strspn(text, WORD "-.");
	len = strspn(text + 1, "0123456789abcdefABCDEF:.");
	return len && text[1 + len] == ']' ? len + 2 : 0;
}

/* ":443" and what follows it; the port of the scheme is left out, as clients leave it out. */
static int take_port(const char **at, const char *usual, char ret[8])
{
	const char *text = *at;
	char digits[8] = "";
	uint64_t port;
	size_t len;

	ret[0] = '\0';
	if (*text++ != ':')
		return 0;
	len = strspn(text, DIGITS);
	if (!len || len >= sizeof(digits) - 1)
		return -EINVAL;
	memcpy(digits, text, len);
	if (parse_u64(digits, UINT16_MAX, &port) < 0 || !port)
		return -EINVAL;
	*at = text + len;
	snprintf(digits, sizeof(digits), "%u", (unsigned)port);
	if (strcmp(digits, usual) != 0)
		snprintf(ret, 8, ":%u", (unsigned)port);
	return 0;
}

/* What needs no escape and has no meaning in a path, so that no signature depends on who rewrites
 * it. */
static bool is_prefix(const char *path)
{
	return (!*path || *path == '/') && !path[strspn(path, WORD "/-.~")] &&
	       !strstr(path, "//") && !strstr(path, "/.");
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static int parse_url(const char *url, struct aws_endpoint *ret)
{
	bool tls = !strncmp(url, "https://", 8);
	const char *at = url + (tls ? 8 : 7);
	char port[8];
	size_t len;
	int end;

	if (strnlen(url, AWS_URL_SIZE) >= AWS_URL_SIZE - 8 ||
	    (!tls && strncmp(url, "http://", 7) != 0))
		return -EINVAL;
	len = host_len(at);
	end = snprintf(ret->host, sizeof(ret->host), "%.*s", (int)len, at);
	at += len;
	if (!len || take_port(&at, tls ? "443" : "80", port) < 0 || !is_prefix(at))
		return -EINVAL;
	strcpy(ret->host + end, port);
	lower(ret->host);
	strcpy(ret->prefix, at);
	len = strlen(ret->prefix);
	if (len && ret->prefix[len - 1] == '/')
		ret->prefix[len - 1] = '\0';
	end = snprintf(ret->url, sizeof(ret->url), "%s://%s%s", tls ? "https" : "http", ret->host,
		       ret->prefix);
	return end < (int)sizeof(ret->url) ? 0 : -EINVAL;
}

int aws_endpoint_parse(const char *url, struct aws_endpoint *ret, struct pc_err *err)
{
	struct aws_endpoint endpoint;

	if (parse_url(url, &endpoint) < 0)
		return pc_err_set(err, -EINVAL,
				  "\"%.200s\" is not an endpoint; write https://HOST, with :PORT "
				  "and /PATH if there are any",
				  url);
	*ret = endpoint;
	return 0;
}

/* ---- AWS's own ---- */

const char *aws_service_name(enum aws_service service)
{
	static const char *const names[] = {
		[AWS_STS] = "sts",
		[AWS_EKS_AUTH] = "eks-auth",
		[AWS_ROLES_ANYWHERE] = "rolesanywhere",
	};

	return names[service];
}

/* EKS Auth has dual-stack names only. STS of us-gov has no name of its own for FIPS, unless
 * dual-stack. */
static void write_host(enum aws_service service, const struct aws_endpoint_options *o, char *ret)
{
	const struct aws_partition *partition = aws_partition_of(o->region);
	bool dual_stack = o->dual_stack || service == AWS_EKS_AUTH;
	bool named = o->fips && (dual_stack || strcmp(partition->id, "aws-us-gov") != 0);

	snprintf(ret, AWS_URL_SIZE, "%s%s.%s.%s", aws_service_name(service), named ? "-fips" : "",
		 o->region, dual_stack ? partition->dual_stack_suffix : partition->suffix);
}

int aws_endpoint_find(enum aws_service service, const struct aws_endpoint_options *options,
		      struct aws_endpoint *ret, struct pc_err *err)
{
	char url[AWS_URL_SIZE + 8], host[AWS_URL_SIZE];

	if (!aws_is_region(options->region))
		return pc_err_set(err, -EINVAL,
				  "\"%.80s\" is not a region; write one like eu-west-1",
				  options->region);
	if (options->url && (options->fips || options->dual_stack))
		return pc_err_set(err, -EINVAL,
				  "an endpoint of its own for %s and %s exclude each other; name "
				  "the endpoint that is meant, or none",
				  aws_service_name(service), options->fips ? "fips" : "dualStack");
	if (options->url)
		return aws_endpoint_parse(options->url, ret, err);
	write_host(service, options, host);
	snprintf(url, sizeof(url), "https://%s", host);
	return aws_endpoint_parse(url, ret, err);
}
