// SPDX-License-Identifier: Apache-2.0
#include "broker/outcomes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "base/keyed.h"
#include "base/timestamp.h"

#define MAX_OUTCOMES 8192
#define KEY_SIZE     (K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE)
#define WHY_SIZE     301

struct outcome {
	struct keyed key; /* in name */
	TAILQ_ENTRY(outcome) order; /* the newest is the last */
	enum fetch_class class;
	time_t at;
	char name[KEY_SIZE]; /* NAMESPACE/NAME */
	char why[WHY_SIZE];
	char *role_arn; /* NULL: not known */
};

struct broker_outcomes {
	void *tree;
	TAILQ_HEAD(outcome_list, outcome) list;
	size_t n;
};

int broker_outcomes_new(struct broker_outcomes **ret)
{
	struct broker_outcomes *outcomes = calloc(1, sizeof(*outcomes));

	if (!outcomes)
		return -ENOMEM;
	TAILQ_INIT(&outcomes->list);
	*ret = outcomes;
	return 0;
}

static void forget(struct broker_outcomes *outcomes, struct outcome *outcome)
{
	keyed_remove(&outcomes->tree, outcome);
	TAILQ_REMOVE(&outcomes->list, outcome, order);
	outcomes->n--;
	free(outcome->role_arn);
	free(outcome);
}

struct broker_outcomes *broker_outcomes_free(struct broker_outcomes *outcomes)
{
	if (!outcomes)
		return NULL;
	while (!TAILQ_EMPTY(&outcomes->list))
		forget(outcomes, TAILQ_FIRST(&outcomes->list));
	free(outcomes);
	return NULL;
}

static struct outcome *outcome_new(struct broker_outcomes *outcomes, const char *name)
{
	struct outcome *outcome = calloc(1, sizeof(*outcome));

	if (!outcome)
		return NULL;
	strcpy(outcome->name, name);
	outcome->key.key = outcome->name;
	if (keyed_add(&outcomes->tree, outcome) < 0) {
		free(outcome);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&outcomes->list, outcome, order);
	if (++outcomes->n > MAX_OUTCOMES)
		forget(outcomes, TAILQ_FIRST(&outcomes->list));
	return outcome;
}

static void fill(struct broker_outcomes *outcomes, struct outcome *outcome, enum fetch_class class,
		 const char *role_arn, const char *why)
{
	TAILQ_REMOVE(&outcomes->list, outcome, order);
	TAILQ_INSERT_TAIL(&outcomes->list, outcome, order);
	outcome->class = class;
	outcome->at = time(NULL);
	snprintf(outcome->why, sizeof(outcome->why), "%s", why ?: "");
	free(outcome->role_arn);
	outcome->role_arn = role_arn ? strdup(role_arn) : NULL;
}

void broker_outcomes_put(struct broker_outcomes *outcomes, const char *name_space,
			 const char *service_account, enum fetch_class class, const char *role_arn,
			 const char *why)
{
	char name[KEY_SIZE];
	struct outcome *outcome;

	if ((size_t)snprintf(name, sizeof(name), "%s/%s", name_space, service_account) >=
	    sizeof(name))
		return;
	outcome = keyed_find(&outcomes->tree, name);
	if (outcome && class == FETCH_ABSENT) {
		forget(outcomes, outcome);
		return;
	}
	if (class == FETCH_ABSENT)
		return;
	outcome = outcome ?: outcome_new(outcomes, name);
	if (outcome)
		fill(outcomes, outcome, class, role_arn, why);
}

/* What says nothing about the role leaves it open. */
static const char *status_of(enum fetch_class class)
{
	switch (class) {
	case FETCH_GRANTED:
		return "True";
	case FETCH_DENIED:
	case FETCH_INVALID:
		return "False";
	default:
		return "Unknown";
	}
}

static void write_one(const struct outcome *outcome, struct text *t)
{
	const char *slash = strchr(outcome->name, '/');
	char name_space[K8S_LABEL_SIZE], at[TIMESTAMP_SIZE] = "";

	snprintf(name_space, sizeof(name_space), "%.*s", (int)(slash - outcome->name),
		 outcome->name);
	(void)timestamp_format(outcome->at, at);
	text_add(t, "{");
	text_add_member(t, "namespace", name_space);
	text_add_member(t, "serviceAccount", slash + 1);
	text_add_member(t, "assumable", status_of(outcome->class));
	text_add_member(t, "reason", fetch_class_name(outcome->class));
	text_add_member(t, "message", outcome->why);
	if (outcome->role_arn)
		text_add_member(t, "roleArn", outcome->role_arn);
	text_add_member(t, "at", at);
	text_add(t, "}");
}

void broker_outcomes_write(const struct broker_outcomes *outcomes, struct text *t)
{
	const struct outcome *outcome;

	text_add(t, "{\"associations\":[");
	TAILQ_FOREACH(outcome, &outcomes->list, order)
	{
		if (outcome != TAILQ_FIRST(&outcomes->list))
			text_add(t, ",");
		write_one(outcome, t);
	}
	text_add(t, "]}");
}
