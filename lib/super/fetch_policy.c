/* SPDX-License-Identifier: MIT */
/* See fetch_policy.h. */
#include "super/fetch_policy.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "policy/policy.h"
#include "super/fetch_store.h"

void pyi_fetch_policy_release(struct pyi_fetched_policy *fetched)
{
	pyi_policy_free(fetched->policy);
	pyi_buf_release(&fetched->answer.text);
	*fetched = (struct pyi_fetched_policy){ .policy = NULL };
}

static int check_privilege(const struct pyi_url *url, struct pyi_err *err)
{
	if (geteuid() == 0)
		return 0;
	return pyi_err_set(
		err, EPERM,
		"cannot fetch '%s': it is done in a sandbox that reaches this server alone, and rules of the "
		"network need root: fetch it yourself (curl -fsS -o policy.yml URL), then reload the file",
		url->shown);
}

int pyi_fetch_policy(const char *url, struct pyi_fetch_request *request,
		     struct pyi_fetched_policy *ret_fetched, struct pyi_err *err)
{
	struct pyi_fetch_answer kept = { .etag = "" }, *answer = &ret_fetched->answer;
	struct pyi_err unused = { 0 };
	int ret = pyi_url_parse(url, &request->url, err);

	*ret_fetched = (struct pyi_fetched_policy){ .policy = NULL };
	if (ret == 0)
		ret = check_privilege(&request->url, err);
	if (ret < 0)
		return ret;
	/* What is kept only saves work: whatever is wrong with it, the whole is asked for. */
	if (pyi_fetch_store_get(url, &kept, &unused) == 0)
		request->etag = kept.etag;
	ret = pyi_fetch(request, answer, err);
	request->etag = NULL;
	if (ret == 0 && answer->is_unchanged) {
		*answer = kept;
		ret_fetched->is_unchanged = true;
	} else {
		pyi_buf_release(&kept.text);
	}
	return ret < 0 ? ret
		       : pyi_policy_parse_foreign(request->url.shown, pyi_buf_str(&answer->text),
						  answer->text.len, &ret_fetched->policy, err);
}

int pyi_fetch_policy_keep(const char *url, const struct pyi_fetched_policy *fetched, struct pyi_err *err)
{
	return fetched->is_unchanged ? 0 : pyi_fetch_store_put(url, &fetched->answer, err);
}
