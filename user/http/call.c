// SPDX-License-Identifier: Apache-2.0
#include "http/call.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/parse.h"
#include "crypto/tls.h"

#define MAX_HEAD	 (64U << 10)
#define CONNECT_NS	 (10 * CLOCK_S)
#define KEEPALIVE_IDLE_S 30L
#define KEEPALIVE_EACH_S 10L
#define DEAD_AFTER_MS	 60000U /* of a peer that acknowledges nothing */
#define RETRY_AFTER_MAX	 (24 * 3600U)

/* ---- the end ---- */

void http_call_free(struct http_call *call)
{
	struct http_client *client = call->client;

	if (call->running)
		curl_multi_remove_handle(client->multi, call->easy);
	TAILQ_REMOVE(call->cancelled ? &client->cancelled
		     : call->running ? &client->running
				     : &client->starting,
		     call, entry);
	curl_easy_cleanup(call->easy);
	curl_url_cleanup(call->url);
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	loop_timer_free(call->idle);
	free(call);
}

/* What a server or a proxy wrote may be in it. */
static void one_line(char why[HTTP_WHY_SIZE], const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < HTTP_WHY_SIZE - 1; i++)
		why[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	why[i] = '\0';
}

void http_call_end(struct http_call *call, int error, const char *why)
{
	void (*on_done)(void *, const struct http_result *) = call->on_done;
	void *arg = call->arg;
	char line[HTTP_WHY_SIZE];
	struct http_result result = {.error = error, .status = call->status, .why = line};

	one_line(line, error ? why : "");
	http_call_free(call);
	on_done(arg, &result);
}

static int os_error(const struct http_call *call, int otherwise)
{
	long e = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &e);
	return e > 0 ? -(int)e : otherwise;
}

/* libcurl says where, and only sometimes why. */
static int no_connection(struct http_call *call)
{
	int error = os_error(call, -ECONNREFUSED);

	snprintf(call->text, sizeof(call->text), "cannot connect: %s", strerror(-error));
	return error;
}

/* libcurl gives up on a long header line with an error that says something else. */
static int no_memory(struct http_call *call)
{
	if (call->status || !call->asked)
		return -ENOMEM;
	snprintf(call->text, sizeof(call->text), "a header of the answer is too long");
	return -EMSGSIZE;
}

static int class_of(struct http_call *call, CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return no_connection(call);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return os_error(call, 0) == -ETIMEDOUT ? -ETIMEDOUT : -ECONNRESET;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_SSL_CERTPROBLEM:
		return -ENOKEY;
	case CURLE_SSL_CONNECT_ERROR:
		return os_error(call, -EPROTO);
	case CURLE_OUT_OF_MEMORY:
		return no_memory(call);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_PROXY:
		return -EPROTO;
	default:
		return -EIO;
	}
}

void http_call_done(struct http_call *call, CURLcode code)
{
	int error = call->error;

	if (error)
		http_call_end(call, error, call->why);
	else if (code == CURLE_OK && !call->status)
		http_call_end(call, -EPROTO, "the answer has no head");
	else if (code == CURLE_OK)
		http_call_end(call, 0, "");
	else {
		error = class_of(call, code);
		http_call_end(call, error, call->text[0] ? call->text : curl_easy_strerror(code));
	}
}

static void on_idle(void *arg)
{
	http_call_end(arg, -ETIMEDOUT, "the server has been silent for too long");
}

/* ---- called by libcurl ---- */

static bool refuse(struct http_call *call, int error, const char *why)
{
	call->error = error;
	call->why = why;
	return false;
}

static void heard(const struct http_call *call)
{
	if (call->idle_ns && !call->cancelled)
		loop_timer_after(call->idle, call->idle_ns);
}

static const char *header(const struct http_call *call, const char *name, size_t *ret_n)
{
	struct curl_header *found;

	if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		return NULL;
	if (ret_n)
		*ret_n = found->amount;
	return found->value;
}

const char *http_head_get(const struct http_head *head, const char *name)
{
	return header(head->call, name, NULL);
}

/* Only what was asked for: other decoders have larger windows, and several of them in a chain multiply. */
static bool check_encoding(struct http_call *call)
{
	size_t n = 0;
	const char *name = header(call, "Content-Encoding", &n);

	if (!name || (n == 1 && (!strcasecmp(name, "gzip") || !strcasecmp(name, "identity"))))
		return true;
	return refuse(call, -EPROTO, "the answer has an encoding that was not asked for");
}

static time_t date_of(const char *text)
{
	time_t when = text ? curl_getdate(text, NULL) : -1;

	return when < 0 ? 0 : when;
}

/* Seconds, or a date, which the server's own clock gives a meaning. */
static uint64_t retry_after(const char *text, time_t date)
{
	uint64_t s = RETRY_AFTER_MAX;
	time_t when;

	if (!text)
		return 0;
	if (parse_u64(text, RETRY_AFTER_MAX, &s) != -EINVAL)
		return s * CLOCK_S;
	when = date_of(text);
	if (!date)
		date = time(NULL);
	if (when <= date)
		return 0;
	s = (uint64_t)(when - date);
	return (s < RETRY_AFTER_MAX ? s : RETRY_AFTER_MAX) * CLOCK_S;
}

static bool take_head(struct http_call *call, unsigned status)
{
	struct http_head head = {
		.status = status,
		.date = date_of(header(call, "Date", NULL)),
		.call = call,
	};
	int r;

	if (status > 599)
		return refuse(call, -EPROTO, "the answer has no status of HTTP");
	if (!check_encoding(call))
		return false;
	call->status = status;
	head.content_type = header(call, "Content-Type", NULL);
	head.retry_after_ns = retry_after(header(call, "Retry-After", NULL), head.date);
	r = call->on_head ? call->on_head(call->arg, &head) : 0;
	return r < 0 ? refuse(call, r, "given up at the head of the answer") : !call->cancelled;
}

/* A line at a time: of interim heads, of the final one, which ends with an empty line, of trailers. */
static size_t on_header(char *line, size_t size, size_t len, void *arg)
{
	struct http_call *call = arg;
	long status = 0;
	bool more = !call->cancelled;

	(void)size;
	heard(call);
	call->head_len += len;
	if (more && call->head_len > MAX_HEAD)
		more = refuse(call, -EMSGSIZE, "the head of the answer is too large");
	if (more && !call->status && (line[0] == '\r' || line[0] == '\n')) {
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200)
			more = take_head(call, (unsigned)status);
	}
	return more ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t len, void *arg)
{
	struct http_call *call = arg;
	int r;

	(void)size;
	if (call->cancelled)
		return 0;
	heard(call);
	if (call->max_body && len > call->max_body - call->body_len) {
		refuse(call, -EMSGSIZE, "the answer is too large");
		return 0;
	}
	call->body_len += len;
	r = call->on_data ? call->on_data(call->arg, data, len) : 0;
	if (r < 0)
		refuse(call, r, "given up within the answer");
	return r < 0 || call->cancelled ? 0 : len;
}

static int on_request(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct http_call *call = arg;

	(void)peer, (void)own, (void)peer_port, (void)own_port;
	call->asked = true;
	heard(call);
	return CURL_PREREQFUNC_OK;
}

/* No child that is executed gets it, and unacknowledged data does not wait for a quarter of an hour. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	unsigned dead_after = DEAD_AFTER_MS;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)arg, (void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after, sizeof(dead_after));
	return fd;
}

/* ---- options: a failure of curl_easy_setopt() is no memory, as each of these options exists ---- */

#define SET(call, option, value) (curl_easy_setopt((call)->easy, (option), (value)) == CURLE_OK)

static long milliseconds(uint64_t ns)
{
	uint64_t ms = (ns + CLOCK_MS - 1) / CLOCK_MS;

	return ms < INT32_MAX ? (long)ms : INT32_MAX;
}

static bool set_behaviour(struct http_call *call, const struct http_call_options *o)
{
	/* QUICK_EXIT: who cancels does not wait for the thread that asks a name server */
	return SET(call, CURLOPT_NOSIGNAL, 1L) && SET(call, CURLOPT_QUICK_EXIT, 1L) &&
	       SET(call, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(call, CURLOPT_USERAGENT, "podcred/" PODCRED_VERSION) &&
	       SET(call, CURLOPT_ACCEPT_ENCODING, "gzip") && SET(call, CURLOPT_PATH_AS_IS, 1L) &&
	       SET(call, CURLOPT_PROXY, o->proxy ?: "") &&
	       SET(call, CURLOPT_NOPROXY, o->no_proxy ?: "") &&
	       SET(call, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
	       SET(call, CURLOPT_TCP_KEEPALIVE, 1L) &&
	       SET(call, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S) &&
	       SET(call, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_EACH_S) &&
	       SET(call, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(o->connect_ns ?: CONNECT_NS)) &&
	       SET(call, CURLOPT_TIMEOUT_MS, milliseconds(o->total_ns));
}

static bool set_callbacks(struct http_call *call)
{
	return SET(call, CURLOPT_PRIVATE, call) && SET(call, CURLOPT_ERRORBUFFER, call->text) &&
	       SET(call, CURLOPT_HEADERFUNCTION, on_header) &&
	       SET(call, CURLOPT_HEADERDATA, call) && SET(call, CURLOPT_WRITEFUNCTION, on_body) &&
	       SET(call, CURLOPT_WRITEDATA, call) &&
	       SET(call, CURLOPT_PREREQFUNCTION, on_request) &&
	       SET(call, CURLOPT_PREREQDATA, call) &&
	       SET(call, CURLOPT_OPENSOCKETFUNCTION, on_open);
}

static bool set_body(struct http_call *call, const struct http_call_options *o)
{
	const char *method = o->method ?: "GET";

	if (!strcmp(method, "HEAD"))
		return SET(call, CURLOPT_NOBODY, 1L);
	if (!o->body)
		return SET(call, CURLOPT_CUSTOMREQUEST, method);
	return SET(call, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len) &&
	       SET(call, CURLOPT_COPYPOSTFIELDS, o->body) &&
	       SET(call, CURLOPT_CUSTOMREQUEST, method);
}

static bool add_header(struct http_call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (list)
		call->headers = list;
	return list;
}

/* An answer is not asked for before a body goes out, however large it is. */
static bool set_headers(struct http_call *call, const struct http_call_options *o)
{
	if (!add_header(call, "Expect:") || (o->body && !add_header(call, "Content-Type:")))
		return false;
	for (const char *const *line = o->headers; line && *line; line++)
		if (!add_header(call, *line))
			return false;
	return SET(call, CURLOPT_HTTPHEADER, call->headers);
}

static bool set_blob(struct http_call *call, CURLoption option, const char *pem)
{
	struct curl_blob blob = {
		.data = (void *)pem,
		.len = pem ? strlen(pem) : 0,
		.flags = CURL_BLOB_COPY,
	};

	return !pem || SET(call, option, &blob);
}

/* Answers hold tokens and keys; a connection that is kept would have the last one in its buffers. */
static CURLcode on_tls(CURL *easy, void *ssl_ctx, void *arg)
{
	(void)easy, (void)arg;
	crypto_tls_wipe_received(ssl_ctx);
	return CURLE_OK;
}

/* With an authority given, those of the system must not be trusted as well: libcurl's default has a
 * directory beside the file. */
static bool set_trust(struct http_call *call, const struct http_tls *tls)
{
	if (tls->ca && !SET(call, CURLOPT_CAPATH, NULL))
		return false;
	return SET(call, CURLOPT_SSL_CTX_FUNCTION, on_tls) &&
	       SET(call, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       SET(call, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L) &&
	       SET(call, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L) &&
	       set_blob(call, CURLOPT_CAINFO_BLOB, tls->ca) &&
	       set_blob(call, CURLOPT_SSLCERT_BLOB, tls->certificate) &&
	       set_blob(call, CURLOPT_SSLKEY_BLOB, tls->key);
}

static void free_curl(char **text)
{
	curl_free(*text);
}

/* libcurl verifies the host of the URL. So the URL gets the name, and the connection and the Host header
 * what was there before. */
static bool set_server_name(struct http_call *call, const char *name)
{
	_cleanup_(free_curl) char *host = NULL, *port = NULL, *shown_port = NULL;
	_cleanup_free_ char *to = NULL, *line = NULL;

	if (curl_url_get(call->url, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(call->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		return false;
	if (curl_url_get(call->url, CURLUPART_PORT, &shown_port, CURLU_NO_DEFAULT_PORT))
		shown_port = NULL;
	if (asprintf(&to, "::%s:%s", host, port) < 0 ||
	    asprintf(&line, "Host: %s%s%s", host, shown_port ? ":" : "", shown_port ?: "") < 0)
		return false;
	call->connect_to = curl_slist_append(NULL, to);
	return call->connect_to && add_header(call, line) &&
	       !curl_url_set(call->url, CURLUPART_HOST, name, 0) &&
	       SET(call, CURLOPT_CONNECT_TO, call->connect_to);
}

static bool set_all(struct http_call *call, const struct http_call_options *o)
{
	static const struct http_tls usual;
	const struct http_tls *tls = o->tls ?: &usual;

	if (tls->server_name && !set_server_name(call, tls->server_name))
		return false;
	return set_behaviour(call, o) && set_callbacks(call) && set_body(call, o) &&
	       set_headers(call, o) && set_trust(call, tls) && SET(call, CURLOPT_CURLU, call->url);
}

/* ---- the start ---- */

static int parse_url(const char *text, CURLU **ret, struct pc_err *err)
{
	CURLU *url = curl_url();
	_cleanup_(free_curl) char *scheme = NULL, *fragment = NULL;
	CURLUcode code;

	if (!url)
		return pc_err_set(err, -ENOMEM, "no memory");
	code = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK && (!strcmp(scheme, "http") || !strcmp(scheme, "https")) &&
	    curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_NO_FRAGMENT) {
		*ret = url;
		return 0;
	}
	curl_url_cleanup(url);
	if (code == CURLUE_OUT_OF_MEMORY)
		return pc_err_set(err, -ENOMEM, "no memory");
	return pc_err_set(err, -EINVAL,
			  "not a URL that can be asked; write http://HOST:PORT/PATH, or https");
}

/* A line feed within one would be a second header. */
static int check_headers(const char *const *headers, struct pc_err *err)
{
	for (const char *const *line = headers; line && *line; line++) {
		const char *colon = strchr(*line, ':');

		if (!colon || colon == *line || strpbrk(*line, "\r\n"))
			return pc_err_set(err, -EINVAL,
					  "a header is not \"Name: value\" in one line");
	}
	return 0;
}

static int check_method(const char *method, struct pc_err *err)
{
	if (!method || (method[0] && !method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]))
		return 0;
	return pc_err_set(err, -EINVAL, "not a method of HTTP; write one like GET");
}

static void take_options(struct http_call *call, const struct http_call_options *o)
{
	call->idle_ns = o->idle_ns;
	call->max_body = o->max_body;
	call->on_head = o->on_head;
	call->on_data = o->on_data;
	call->on_done = o->on_done;
	call->arg = o->arg;
}

static int fill(struct http_call *call, const struct http_call_options *options, struct pc_err *err)
{
	int r = parse_url(options->url, &call->url, err);

	if (r < 0)
		return r;
	call->easy = curl_easy_init();
	if (!call->easy || loop_timer_new(call->client->loop, on_idle, call, &call->idle) < 0 ||
	    !set_all(call, options))
		return pc_err_set(err, -ENOMEM, "no memory");
	take_options(call, options);
	return 0;
}

int http_call_start(struct http_client *client, const struct http_call_options *options,
		    struct http_call **ret, struct pc_err *err)
{
	struct http_call *call;
	int r = check_headers(options->headers, err) ?: check_method(options->method, err);

	if (r < 0)
		return r;
	call = calloc(1, sizeof(*call));
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->client = client;
	TAILQ_INSERT_TAIL(&client->starting, call, entry);
	r = fill(call, options, err);
	if (r < 0) {
		http_call_free(call);
		return r;
	}
	http_client_kick(client);
	*ret = call;
	return 0;
}

struct http_call *http_call_cancel(struct http_call *call)
{
	struct http_client *client;

	if (!call)
		return NULL;
	client = call->client;
	if (!client->inside) {
		http_call_free(call);
		return NULL;
	}
	TAILQ_REMOVE(call->running ? &client->running : &client->starting, call, entry);
	TAILQ_INSERT_TAIL(&client->cancelled, call, entry);
	call->cancelled = true;
	loop_timer_cancel(call->idle);
	return NULL;
}
