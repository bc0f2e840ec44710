// SPDX-License-Identifier: Apache-2.0
/* Whoever asks: keys of AWS, or a certificate. */
#include "aws/sigv4.h"

#include <errno.h>
#include <string.h>

#include "aws/canonical.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/certificate.h"

#define AUTHORIZATION_MAX 8192
#define ID		  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

void aws_signed_done(struct aws_signed *s)
{
	secret_free(s->authorization);
	*s = (struct aws_signed){};
}

/* ---- the request with the headers that belong to the signature ---- */

struct job {
	struct aws_request request;
	struct aws_header *headers;
	struct text names, to_sign;
	char date[AWS_DATE_SIZE];
};

static void job_done(struct job *job)
{
	free(job->headers);
	text_done(&job->names);
	text_done(&job->to_sign);
}

static int format_date(time_t when, char ret[AWS_DATE_SIZE])
{
	struct tm tm;

	if (!gmtime_r(&when, &tm) || tm.tm_year < 0 || tm.tm_year > 9999 - 1900)
		return -ERANGE;
	return strftime(ret, AWS_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == AWS_DATE_SIZE - 1 ? 0
											: -ERANGE;
}

static bool has_host(const struct aws_request *request)
{
	for (size_t i = 0; i < request->n_headers; i++)
		if (aws_header_is(&request->headers[i], "host", 4))
			return true;
	return false;
}

static int add_headers(struct job *job, const struct aws_request *request, const char *token)
{
	size_t n = request->n_headers;

	job->headers = calloc(n + 2, sizeof(*job->headers));
	if (!job->headers)
		return -ENOMEM;
	if (n)
		memcpy(job->headers, request->headers, n * sizeof(*job->headers));
	job->headers[n++] = (struct aws_header){"X-Amz-Date", job->date};
	if (token)
		job->headers[n++] = (struct aws_header){"X-Amz-Security-Token", token};
	job->request = *request;
	job->request.headers = job->headers;
	job->request.n_headers = n;
	return 0;
}

static bool is_word(const char *text)
{
	size_t len = strnlen(text, 65);

	return len && len < 65 && !text[strspn(text, ID "-.")];
}

static int prepare(struct job *job, const struct aws_request *request, const char *algorithm,
		   const char *token, const struct aws_scope *scope, time_t when)
{
	_cleanup_(text_done) struct text canonical = {};
	int r = format_date(when, job->date);

	if (r == 0 && (!has_host(request) || !is_word(scope->region) || !is_word(scope->service)))
		r = -EINVAL;
	r = r ?: add_headers(job, request, token);
	r = r ?: aws_canonical_names(job->request.headers, job->request.n_headers, &job->names);
	if (r < 0)
		return r;
	text_add_bytes(&job->names, "", 1);
	r = text_error(&job->names)
		    ?: aws_canonical_request(&job->request, job->names.data, scope->service,
					     &canonical);
	return r ?: aws_string_to_sign(algorithm, job->date, scope, &canonical, &job->to_sign);
}

/* ---- the header ---- */

static int finish(const struct job *job, const char *algorithm, const char *who,
		  const struct aws_scope *scope, const uint8_t *signature, size_t len,
		  struct aws_signed *ret)
{
	_cleanup_(text_done) struct text t = {.max = AUTHORIZATION_MAX};

	text_add(&t, algorithm);
	text_add(&t, " Credential=");
	text_add(&t, who);
	text_addf(&t, "/%.8s/%s/%s/aws4_request", job->date, scope->region, scope->service);
	text_add(&t, ", SignedHeaders=");
	text_add(&t, job->names.data);
	text_add(&t, ", Signature=");
	for (size_t i = 0; i < len; i++)
		text_addf(&t, "%02x", signature[i]);
	ret->authorization = text_string(&t);
	memcpy(ret->date, job->date, sizeof(ret->date));
	return ret->authorization ? 0 : text_error(&t) ?: -ENOMEM;
}

static bool is_key_id(const char *text)
{
	size_t len = strnlen(text, 129);

	return len && len < 129 && !text[strspn(text, ID)];
}

int aws_sign(const struct aws_request *request, const struct aws_keys *keys,
	     const struct aws_scope *scope, time_t when, struct aws_signed *ret)
{
	static const char algorithm[] = "AWS4-HMAC-SHA256";
	_cleanup_(job_done) struct job job = {};
	uint8_t signature[32];
	int r = is_key_id(keys->access_key_id) ? 0 : -EINVAL;

	r = r ?: prepare(&job, request, algorithm, keys->session_token, scope, when);
	r = r
		    ?: aws_hmac_signature(keys->secret_access_key, job.date, scope, &job.to_sign,
					  signature);
	return r
		       ?: finish(&job, algorithm, keys->access_key_id, scope, signature,
				 sizeof(signature), ret);
}

int aws_sign_x509(const struct aws_request *request, const struct crypto_certificate *certificate,
		  const struct crypto_key *key, const struct aws_scope *scope, time_t when,
		  struct aws_signed *ret)
{
	const char *algorithm = crypto_key_kind(key) == CRYPTO_KEY_RSA ? "AWS4-X509-RSA-SHA256"
								       : "AWS4-X509-ECDSA-SHA256";
	_cleanup_(job_done) struct job job = {};
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	size_t len = 0;
	int r = crypto_key_check(key, certificate);

	r = r ?: prepare(&job, request, algorithm, NULL, scope, when);
	r = r ?: crypto_key_sign(key, job.to_sign.data, job.to_sign.len, signature, &len);
	return r
		       ?: finish(&job, algorithm, crypto_certificate_serial(certificate), scope,
				 signature, len, ret);
}
