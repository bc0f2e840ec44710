// SPDX-License-Identifier: Apache-2.0
/*
 * Asks podcred broker as agents do, and podcred control as the API server does: over TLS, on connections that are kept.
 * usage: ask URL CA WORKERS MS <REQUESTS      MS 0: each request once
 * REQUESTS: a line with a bearer token, then one with the JSON body of each request. Prints answers a second, the median, the
 * 99th percentile (microseconds), and how many answers were not 200.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_REQUESTS 20000
#define MAX_BODY     65536
#define MAX_ANSWERS  2000000
#define MAX_WORKERS  64

static const char *url, *authority;
static char token[8300];
static char **bodies;
static size_t n_bodies;
static unsigned long long end_ns;
static bool once;
static atomic_size_t next_body, n_answers, n_others;
static unsigned *took_us;

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
}

static size_t drop(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static void ask(CURL *curl, const char *body)
{
	unsigned long long from = now_ns();
	long status = 0;
	size_t i;

	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		atomic_fetch_add(&n_others, 1);
	i = atomic_fetch_add(&n_answers, 1);
	if (i < MAX_ANSWERS)
		took_us[i] = (unsigned)((now_ns() - from) / 1000);
}

static void *work(void *arg)
{
	struct curl_slist *headers = curl_slist_append(NULL, token);
	CURL *curl = curl_easy_init();

	(void)arg;
	headers = curl_slist_append(headers, "Content-Type: application/json");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, authority);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
	for (;;) {
		size_t i = atomic_fetch_add(&next_body, 1);

		if (once ? i >= n_bodies : now_ns() >= end_ns)
			break;
		ask(curl, bodies[i % n_bodies]);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static bool read_requests(void)
{
	static char line[MAX_BODY];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(token, sizeof(token), "Authorization: Bearer %.8192s", line);
	while (n_bodies < MAX_REQUESTS && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		bodies[n_bodies] = strdup(line);
		if (!bodies[n_bodies++])
			return false;
	}
	return n_bodies;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_WORKERS];
	unsigned workers = argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	unsigned long long from;
	size_t n;

	bodies = calloc(MAX_REQUESTS, sizeof(*bodies));
	took_us = calloc(MAX_ANSWERS, sizeof(*took_us));
	if (!workers || workers > MAX_WORKERS || !bodies || !took_us || !read_requests())
		return 2;
	url = argv[1];
	authority = argv[2];
	once = !strcmp(argv[4], "0");
	curl_global_init(CURL_GLOBAL_ALL);
	from = now_ns();
	end_ns = from + strtoull(argv[4], NULL, 10) * 1000000ULL;
	for (unsigned i = 0; i < workers; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 1;
	for (unsigned i = 0; i < workers; i++)
		pthread_join(threads[i], NULL);
	n = n_answers < MAX_ANSWERS ? n_answers : MAX_ANSWERS;
	qsort(took_us, n, sizeof(*took_us), compare);
	printf("%.0f %u %u %zu\n", (double)n * 1e9 / (double)(now_ns() - from), took_us[n / 2],
	       took_us[n * 99 / 100], (size_t)n_others);
	return 0;
}
