// SPDX-License-Identifier: Apache-2.0
/* Config, guard and targets: written before anything attaches, restored when the load fails. */
#include "kernel/internal.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/filter.h"

#define TABLE_MAX     PODCRED_TARGETS_MAX /* the larger one */
#define FIRST_LEASE_S 30

struct table {
	size_t n;
	union {
		struct podcred_guard_key guard;
		struct podcred_target_key target;
	} key[TABLE_MAX];
	struct podcred_action_value value[TABLE_MAX];
};

struct tables_backup {
	struct podcred_config config;
	uint64_t runtime[PODCRED_RUNTIME_SLOTS];
	struct table guard, targets;
};

/* Both key types have the same size, so one table type serves both maps. */
_Static_assert(sizeof(struct podcred_guard_key) == sizeof(struct podcred_target_key), "keys");
_Static_assert(PODCRED_GUARD_MAX <= TABLE_MAX, "limits");
#define KEY_SIZE sizeof(struct podcred_guard_key)

static int collect(void *arg, const void *key, const void *value)
{
	struct table *table = arg;

	if (table->n == TABLE_MAX)
		return -E2BIG;
	memcpy(&table->key[table->n], key, KEY_SIZE);
	memcpy(&table->value[table->n], value, sizeof(table->value[0]));
	table->n++;
	return 0;
}

static int table_read(int fd, struct table *ret)
{
	ret->n = 0;
	return kern_map_each(fd, KEY_SIZE, sizeof(struct podcred_action_value), collect, ret);
}

static bool table_has(const struct table *table, const void *key)
{
	for (size_t i = 0; i < table->n; i++)
		if (!memcmp(&table->key[i], key, KEY_SIZE))
			return true;
	return false;
}

/* New entries first, then the ones that are no more: a destination never falls through. */
static int table_replace(int fd, const struct table *want)
{
	struct table have;
	int r;

	for (size_t i = 0; i < want->n; i++)
		if (bpf_map_update_elem(fd, &want->key[i], &want->value[i], BPF_ANY) < 0)
			return -errno;
	r = table_read(fd, &have);
	for (size_t i = 0; r == 0 && i < have.n; i++)
		if (!table_has(want, &have.key[i]) && bpf_map_delete_elem(fd, &have.key[i]) < 0)
			r = -errno;
	return r;
}

static int guards_to_table(const struct kern_options *options, struct table *ret)
{
	ret->n = 0;
	if (options->n_guards > PODCRED_GUARD_MAX)
		return -E2BIG;
	for (size_t i = 0; i < options->n_guards; i++) {
		const struct kern_guard *guard = &options->guards[i];
		struct podcred_guard_key key = {.prefixlen = guard->bits};

		memcpy(key.addr.ip, guard->prefix.ip, sizeof(key.addr.ip));
		ret->key[i].guard = key;
		ret->value[i] = (struct podcred_action_value){.action = (uint8_t)guard->action};
		ret->n++;
	}
	return 0;
}

static int targets_to_table(const struct kern_options *options, struct table *ret)
{
	ret->n = 0;
	if (options->n_targets > PODCRED_TARGETS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < options->n_targets; i++) {
		const struct kern_target *target = &options->targets[i];
		struct podcred_target_key key = {.port = htons(target->addr.port),
						 .protocol = target->protocol};

		memcpy(key.addr.ip, target->addr.ip, sizeof(key.addr.ip));
		ret->key[i].target = key;
		ret->value[i] = (struct podcred_action_value){.action = (uint8_t)target->action};
		ret->n++;
	}
	return 0;
}

int kern_config_write(int config_fd, const struct podcred_config *config)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(config_fd, &zero, config, BPF_ANY) < 0 ? -errno : 0;
}

/* While the tables change, the filter rules nothing out. */
static int config_write_unfiltered(int fd, struct podcred_config config)
{
	memset(config.guard_filter, 0xff, sizeof(config.guard_filter));
	return kern_config_write(fd, &config);
}

/* The agent may be started after the load, and the resolver has asked after it only where failureMode was open
 * before: until then it must not be given up. */
static int grant_lease(int runtime_fd, const struct podcred_config *before,
		       const struct podcred_config *now)
{
	if (before->fail_open || !now->fail_open)
		return 0;
	return kern_runtime_write(runtime_fd, PODCRED_RUNTIME_LEASE,
				  clock_boot_ns() + FIRST_LEASE_S * CLOCK_S);
}

/* Of the slots, those that the loader has to say. */
static const enum podcred_runtime runtime_slots[] = {
	PODCRED_RUNTIME_KUBEPODS, PODCRED_RUNTIME_BURSTABLE, PODCRED_RUNTIME_BESTEFFORT};

static int runtime_write(int fd, const uint64_t values[PODCRED_RUNTIME_SLOTS])
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(runtime_slots); i++)
		r = kern_runtime_write(fd, runtime_slots[i], values[runtime_slots[i]]);
	return r;
}

static int runtime_read(int fd, uint64_t ret[PODCRED_RUNTIME_SLOTS])
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(runtime_slots); i++)
		r = kern_runtime_read(fd, runtime_slots[i], &ret[runtime_slots[i]]);
	return r;
}

int kern_tables_write(struct podcred *skel, const struct kern_options *options,
		      struct tables_backup **ret_backup, struct pc_err *err)
{
	const uint64_t runtime[PODCRED_RUNTIME_SLOTS] = {
		[PODCRED_RUNTIME_KUBEPODS] = options->kubepods_id,
		[PODCRED_RUNTIME_BURSTABLE] = options->qos_id[0],
		[PODCRED_RUNTIME_BESTEFFORT] = options->qos_id[1],
	};
	int config_fd = bpf_map__fd(skel->maps.podcred_config_v2);
	int runtime_fd = bpf_map__fd(skel->maps.podcred_runtime);
	int guard_fd = bpf_map__fd(skel->maps.podcred_guard);
	int targets_fd = bpf_map__fd(skel->maps.podcred_targets);
	struct tables_backup *backup = calloc(1, sizeof(*backup));
	_cleanup_free_ struct table *table = calloc(1, sizeof(*table));
	int r;

	if (!backup || !table) {
		free(backup);
		return -ENOMEM;
	}
	r = kern_config_read(config_fd, &backup->config);
	if (r == 0)
		r = runtime_read(runtime_fd, backup->runtime);
	if (r == 0)
		r = table_read(guard_fd, &backup->guard);
	if (r == 0)
		r = table_read(targets_fd, &backup->targets);
	*ret_backup = backup;
	if (r == 0)
		r = grant_lease(runtime_fd, &backup->config, &options->config);
	if (r == 0)
		r = config_write_unfiltered(config_fd, options->config);
	if (r == 0)
		r = runtime_write(runtime_fd, runtime);
	if (r == 0)
		r = targets_to_table(options, table);
	if (r == 0)
		r = table_replace(targets_fd, table);
	if (r == 0)
		r = guards_to_table(options, table);
	if (r == 0)
		r = table_replace(guard_fd, table);
	if (r == 0) {
		struct podcred_config config = options->config;

		kern_guard_filter_fill(options->guards, options->n_guards, &config);
		r = kern_config_write(config_fd, &config);
	}
	if (r < 0)
		pc_err_set(err, r,
			   "cannot write the destination tables: %s; at most %d addresses and %d "
			   "ports "
			   "fit, the agent's among them",
			   strerror(-r), PODCRED_GUARD_MAX, PODCRED_TARGETS_MAX);
	return r;
}

void kern_tables_restore(struct podcred *skel, const struct tables_backup *backup)
{
	int config_fd = bpf_map__fd(skel->maps.podcred_config_v2);

	if (!backup)
		return;
	config_write_unfiltered(config_fd, backup->config);
	table_replace(bpf_map__fd(skel->maps.podcred_targets), &backup->targets);
	table_replace(bpf_map__fd(skel->maps.podcred_guard), &backup->guard);
	runtime_write(bpf_map__fd(skel->maps.podcred_runtime), backup->runtime);
	kern_config_write(config_fd, &backup->config);
}

struct tables_backup *kern_tables_backup_free(struct tables_backup *backup)
{
	free(backup);
	return NULL;
}
