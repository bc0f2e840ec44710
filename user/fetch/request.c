// SPDX-License-Identifier: Apache-2.0
#include "fetch/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/pack.h"
#include "base/secret_pool.h"

void fetch_request_free(void *arg)
{
	struct fetch_request *request = arg;

	if (!request)
		return;
	cred_table_unref(request->table);
	secret_pool_free(request->token);
	free(request->text);
	free(request);
}

static int copy_texts(struct fetch_request *request, const struct fetch_request_options *o)
{
	const struct cred_cluster *cluster = o->cluster;
	const struct cred_pod *pod = o->pod;
	char *at = malloc(pack_size(pod->namespace) + pack_size(pod->name) + pack_size(pod->uid) +
			  pack_size(pod->service_account) + pack_size(cluster->name) +
			  pack_size(cluster->arn) + 1);

	if (!at)
		return -ENOMEM;
	request->text = at;
	request->pod.namespace = pack_put(&at, pod->namespace);
	request->pod.name = pack_put(&at, pod->name);
	request->pod.uid = pack_put(&at, pod->uid);
	request->pod.service_account = pack_put(&at, pod->service_account);
	request->cluster.name = pack_put(&at, cluster->name);
	request->cluster.arn = pack_put(&at, cluster->arn);
	if (!o->token)
		return 0;
	request->token = secret_pool_alloc(pack_size(o->token));
	if (!request->token)
		return -ENOMEM;
	strcpy(request->token, o->token);
	return 0;
}

int fetch_request_new(const struct fetch_request_options *options, struct fetch_request **ret,
		      struct pc_err *err)
{
	struct fetch_request *request = calloc(1, sizeof(*request));
	int r = request ? copy_texts(request, options) : -ENOMEM;

	if (r < 0) {
		fetch_request_free(request);
		return pc_err_set(err, r, "no memory");
	}
	request->table = cred_table_ref(options->table);
	request->association = options->association;
	r = cred_session_plan(request->association, options->default_source, &request->pod,
			      &request->cluster, &request->session, err);
	if (r < 0)
		fetch_request_free(request);
	else
		*ret = request;
	return r;
}
