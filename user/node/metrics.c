// SPDX-License-Identifier: Apache-2.0
#include "node/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/status.h"
#include "node/source.h"

#define INTERVAL_NS (15 * CLOCK_S)

#define COMPLETE_HELP "Whether every program is in force and every pod behind them."

/* ---- text ---- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, "gauge", help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_decisions(FILE *out, const struct kern_status *status)
{
	head(out, "podcred_decisions_total", "counter",
	     "Decisions of the BPF programs since the first load, by reason.");
	for (int i = 0; i < PODCRED_REASON_MAX; i++)
		fprintf(out, "podcred_decisions_total{reason=\"%s\"} %" PRIu64 "\n",
			kern_reason_name((enum podcred_reason)i), status->stats[i]);
}

/* What may not be asked is left out: a 0 would be a false alarm. It is not to vanish without a word,
 * so how much that is has a metric of its own. */
static void put_guard(FILE *out, const struct guard *guard)
{
	enum node_guard_verdict verdict = node_guard_verdict(guard);
	size_t unknown = 0;

	for (size_t i = 0; i < guard->n_gaps; i++)
		unknown += guard->gaps[i].unknown;
	gauge(out, "podcred_guard_unknown",
	      "How many checks this process may not make; above 0, podcred_guard_complete may be "
	      "missing.",
	      unknown);

	if (verdict != GUARD_UNKNOWN)
		gauge(out, "podcred_guard_complete", COMPLETE_HELP, verdict == GUARD_COMPLETE);
	head(out, "podcred_guard_gaps", "gauge", "What keeps the guard from being complete.");
	for (size_t i = 0; node_guard_kind(i); i++)
		if (node_guard_count(guard, node_guard_kind(i)) ||
		    !node_guard_has_unknown(guard, node_guard_kind(i)))
			fprintf(out, "podcred_guard_gaps{kind=\"%s\"} %zu\n", node_guard_kind(i),
				node_guard_count(guard, node_guard_kind(i)));
}

static void put_links(FILE *out, const struct kern_status *status)
{
	head(out, "podcred_link_effective", "gauge",
	     "Whether the kernel runs this program, as the kernel tells it.");
	for (size_t i = 0; i < status->n_links; i++)
		if (!status->links[i].unknown)
			fprintf(out, "podcred_link_effective{program=\"%s\",hook=\"%s\"} %d\n",
				status->links[i].name, status->links[i].hook,
				status->links[i].effective);
}

/* Left out where they are not to be seen. */
static void put_ways(FILE *out, const struct guard *guard)
{
	static const enum ways_kind kinds[] = {WAYS_CARRIED, WAYS_DIRECT, WAYS_BRIDGED};

	if (!guard->ways_known)
		return;
	head(out, "podcred_interfaces", "gauge",
	     "Interfaces of pods, by how their connections come to the agent: carried past a "
	     "bridge, direct, or bridged.");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = node_ways_count(&guard->ways, kinds[i]);

		if (kinds[i] == WAYS_BRIDGED)
			n += node_ways_count(&guard->ways, WAYS_LACKING);
		fprintf(out, "podcred_interfaces{path=\"%s\"} %zu\n", node_ways_kind_name(kinds[i]),
			n);
	}
}

static void put_lease(FILE *out, const struct kern_status *status, uint64_t now_ns)
{
	uint64_t until = status->runtime[PODCRED_RUNTIME_LEASE];
	double left = until > now_ns ? (double)(until - now_ns) / 1e9 : 0;

	head(out, "podcred_lease_seconds", "gauge",
	     "How long the agent counts as alive; at 0 failureMode open passes connections.");
	fprintf(out, "podcred_lease_seconds %.3f\n", left);
}

static void counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_api_errors(FILE *out, const struct podcred_source *source)
{
	head(out, "podcred_api_errors_total", "counter",
	     "What went wrong between resolver and API server, by class.");
	for (size_t i = 0; i < PODCRED_SOURCE_ERRORS; i++)
		if (source->errors[i].name[0])
			fprintf(out, "podcred_api_errors_total{class=\"%.*s\"} %" PRIu64 "\n",
				(int)sizeof(source->errors[i].name), source->errors[i].name,
				(uint64_t)source->errors[i].n);
}

/* The counters are the resolver's, and begin with it. */
static void put_api(FILE *out, const struct kern_status *status)
{
	const struct podcred_source *source = &status->source;

	if (source->kind != PODCRED_SOURCE_API)
		return;
	gauge(out, "podcred_api_in_touch",
	      "Whether the resolver has all pods of the API server, and follows its changes.",
	      node_source_is_current(status));
	counter(out, "podcred_api_lists_total", "Lists of pods that were read to their end.",
		source->lists);
	counter(out, "podcred_api_watches_total", "Watches that were started.", source->watches);
	counter(out, "podcred_api_events_total", "Changes of pods that were reported.",
		source->events);
	counter(out, "podcred_api_bookmarks_total", "Signs of life of a watch without changes.",
		source->bookmarks);
	counter(out, "podcred_api_refused_total",
		"Changes that would have made a pod another one, and were refused.",
		source->refused);
	put_api_errors(out, source);
}

static void put_list(FILE *out, const struct kern_status *status, uint64_t now_ns)
{
	const uint64_t *runtime = status->runtime;
	uint64_t read_ns = runtime[PODCRED_RUNTIME_LIST_READ];

	if (!read_ns)
		return;
	gauge(out, "podcred_list_pods", "Pods that the pod list names.",
	      runtime[PODCRED_RUNTIME_LIST_PODS]);
	gauge(out, "podcred_list_skipped", "Pods in the list that could not be used.",
	      runtime[PODCRED_RUNTIME_LIST_SKIPPED]);
	gauge(out, "podcred_list_age_seconds",
	      "How old the list is: seconds since the file was read, which happens when it "
	      "changes, or "
	      "since the API server was last heard of.",
	      now_ns > read_ns ? (now_ns - read_ns) / 1000000000ULL : 0);
}

static void put_policy(FILE *out, const struct kern_status *status)
{
	head(out, "podcred_policy_pods", "gauge",
	     "Pods that are exceptions, by the action of their rule.");
	fprintf(out,
		"podcred_policy_pods{action=\"exempt\"} %" PRIu32 "\n"
		"podcred_policy_pods{action=\"audit\"} %" PRIu32 "\n"
		"podcred_policy_pods{action=\"deny\"} %" PRIu32 "\n",
		status->n_exempt, status->n_audited, status->n_denied);
}

static void put_status(FILE *out, const struct kern_status *status, uint64_t now_ns)
{
	gauge(out, "podcred_resolver_running", "Whether a resolver follows the pods.",
	      kern_resolver_is_running(status));
	put_links(out, status);
	put_decisions(out, status);
	gauge(out, "podcred_pods", "Pods that the kernel knows.", status->n_pods);
	put_policy(out, status);
	gauge(out, "podcred_pods_max", "Pods that the kernel has room for.", PODCRED_PODS_MAX);
	gauge(out, "podcred_pods_refused",
	      "Pods that there was no room for: they get no credentials.", status->source.full);
	put_list(out, status, now_ns);
	put_api(out, status);
	gauge(out, "podcred_flows", "Connections that the agent has not accepted yet.",
	      status->n_flows);
	gauge(out, "podcred_peers", "Live connections to the agent.", status->n_peers);
	if (status->config.fail_open)
		put_lease(out, status, now_ns);
}

char *node_metrics_text(const struct guard *guard, uint64_t now_ns)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	head(out, "podcred_build_info", "gauge", "The version in use; always 1.");
	fprintf(out, "podcred_build_info{version=\"%s\"} 1\n", PODCRED_VERSION);
	if (guard) {
		put_guard(out, guard);
		put_ways(out, guard);
		put_status(out, &guard->status, now_ns);
	} else {
		gauge(out, "podcred_guard_complete", COMPLETE_HELP, 0);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int node_metrics_read(const char *pin_dir, const char *mount, char **ret, struct pc_err *err)
{
	const struct guard_where where = {.pin_dir = pin_dir};
	struct guard guard;
	int r = node_guard_read(&where, mount, &guard, err);
	char *text = r < 0 ? NULL : node_metrics_text(&guard, clock_boot_ns());

	node_guard_done(&guard);
	if (r < 0)
		return r;
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}

/* ---- file ---- */

int node_metrics_check(const char *path, struct pc_err *err)
{
	_cleanup_free_ char *dir = path ? strdup(path) : NULL;
	struct stat st;
	char *slash;
	int r;

	if (!path)
		return 0;
	if (!dir)
		return -ENOMEM;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return pc_err_set(err, -EINVAL,
				  "--metrics %s is not a file; name one to be created", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (access(slash ? dir : ".", W_OK | X_OK) == 0)
		return 0;
	r = -errno;
	return pc_err_set(err, r,
			  "cannot write --metrics %s: %s: %s; make that directory, and let this "
			  "user write there",
			  path, slash ? dir : ".", strerror(-r));
}

struct metrics_file {
	const char *path, *pin_dir, *mount;
	int error; /* of the last write */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool stop;
};

static int write_file(const struct metrics_file *file, struct pc_err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = node_metrics_read(file->pin_dir, file->mount, &text, err);

	if (r == -ENOENT) /* unloaded: that is news for whoever reads this */
		r = (text = node_metrics_text(NULL, 0)) ? 0 : -ENOMEM;
	if (r < 0)
		return r;
	r = file_write_atomic(file->path, text, strlen(text), 0644);
	return r < 0 ? pc_err_set(err, r, "cannot write %s: %s", file->path, strerror(-r)) : 0;
}

static void write_or_warn(struct metrics_file *file)
{
	struct pc_err err = {};
	int r = write_file(file, &err);

	if (r < 0 && r != file->error)
		log_warn("metrics: %s; trying again", err.msg[0] ? err.msg : strerror(-r));
	file->error = r;
}

static void *run(void *arg)
{
	struct metrics_file *file = arg;

	pthread_mutex_lock(&file->lock);
	while (!file->stop) {
		struct timespec next = clock_timespec(clock_mono_ns() + INTERVAL_NS);

		pthread_mutex_unlock(&file->lock);
		write_or_warn(file);
		pthread_mutex_lock(&file->lock);
		while (!file->stop && pthread_cond_clockwait(&file->stopped, &file->lock,
							     CLOCK_MONOTONIC, &next) == 0)
			;
	}
	pthread_mutex_unlock(&file->lock);
	return NULL;
}

int node_metrics_start(const char *path, const char *pin_dir, const char *mount,
		       struct metrics_file **ret, struct pc_err *err)
{
	struct metrics_file *file;
	int r;

	if (!path)
		return 0;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->path = path;
	file->pin_dir = pin_dir;
	file->mount = mount;
	pthread_mutex_init(&file->lock, NULL);
	pthread_cond_init(&file->stopped, NULL);
	r = pthread_create(&file->thread, NULL, run, file);
	if (r) {
		free(file);
		return pc_err_set(err, -r, "cannot start a thread: %s", strerror(r));
	}
	*ret = file;
	return 0;
}

struct metrics_file *node_metrics_stop(struct metrics_file *file)
{
	if (!file)
		return NULL;
	pthread_mutex_lock(&file->lock);
	file->stop = true;
	pthread_cond_signal(&file->stopped);
	pthread_mutex_unlock(&file->lock);
	pthread_join(file->thread, NULL);
	unlink(file->path); /* nobody keeps it right any more */
	pthread_cond_destroy(&file->stopped);
	pthread_mutex_destroy(&file->lock);
	free(file);
	return NULL;
}
