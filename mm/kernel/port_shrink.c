// SPDX-License-Identifier: GPL-2.0-only
/*
 * One shrinker for all domains: under memory pressure the core gives back tables
 * in which nothing is mapped.
 *
 * The list's lock is only ever tried by reclaim: whoever adds or removes a domain
 * may be waiting for memory itself. A domain leaves the list before its teardown
 * begins to free what the hooks look at, and leaving waits for hooks under way.
 */
#include <linux/math64.h>
#include <linux/rwsem.h>
#include <linux/shrinker.h>

#include "port_kernel.h"
#include "svm_config.h"

static DECLARE_RWSEM(svm_domains_sem);
static LIST_HEAD(svm_domains);

static unsigned long svm_shrink_count(struct shrinker *s,
				      struct shrink_control *sc)
{
	struct port_domain *d;
	unsigned long n = 0;

	if (!down_read_trylock(&svm_domains_sem))
		return 0;
	list_for_each_entry(d, &svm_domains, link)
		n += svm_port_count(d->owner);
	up_read(&svm_domains_sem);
	return n ?: SHRINK_EMPTY;
}

/* Each vm is looked at by its share of what is idle, so that none stands behind another. */
static unsigned long svm_shrink_scan(struct shrinker *s,
				     struct shrink_control *sc)
{
	unsigned long looked = 0, freed = 0, want = sc->nr_to_scan;
	struct port_domain *d;
	u64 total = 0;

	sc->nr_scanned = 0;
	if (!down_read_trylock(&svm_domains_sem))
		return SHRINK_STOP;
	list_for_each_entry(d, &svm_domains, link)
		total += svm_port_count(d->owner);
	list_for_each_entry(d, &svm_domains, link) {
		u64 has = svm_port_count(d->owner), share, seen = 0;

		if (!has)
			continue;
		if (looked >= want)
			break;
		share = total ? div64_u64(want * has, total) : 0;
		share = clamp_t(u64, share, 1, want - looked);
		freed += svm_port_shrink(d->owner, share, &seen);
		looked += seen;
	}
	up_read(&svm_domains_sem);
	sc->nr_scanned = looked;
	return looked ? freed : SHRINK_STOP;
}

/**
 * port_each_domain() - call a function for each vm of a device
 * @dma: the device
 * @fn: called with the vm's owner and @arg; allocates nothing
 * @arg: for @fn
 *
 * Context: sleeps; not in a reader section. No domain is made or ends meanwhile.
 */
void port_each_domain(struct device *dma, void (*fn)(void *owner, void *arg),
		      void *arg)
{
	struct port_domain *d;

	down_read(&svm_domains_sem);
	list_for_each_entry(d, &svm_domains, link)
		if (d->dev == dma)
			fn(d->owner, arg);
	up_read(&svm_domains_sem);
}

/* The domain's hooks may be called from now on. Sleeps. */
void svm_shrinker_add(struct port_domain *d)
{
	down_write(&svm_domains_sem);
	list_add_tail(&d->link, &svm_domains);
	up_write(&svm_domains_sem);
}

/* None of the domain's hooks runs when this returns, nor will. Sleeps. */
void svm_shrinker_del(struct port_domain *d)
{
	down_write(&svm_domains_sem);
	list_del_init(&d->link);
	up_write(&svm_domains_sem);
}

#ifdef HAVE_SHRINKER_ALLOC
static struct shrinker *svm_shrinker;

int svm_shrinker_init(void)
{
	svm_shrinker = shrinker_alloc(0, "svmirror");
	if (!svm_shrinker)
		return -ENOMEM;
	svm_shrinker->count_objects = svm_shrink_count;
	svm_shrinker->scan_objects = svm_shrink_scan;
	svm_shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(svm_shrinker);
	return 0;
}

void svm_shrinker_exit(void)
{
	shrinker_free(svm_shrinker);
}
#else
static struct shrinker svm_shrinker = {
	.count_objects = svm_shrink_count,
	.scan_objects = svm_shrink_scan,
	.seeks = DEFAULT_SEEKS,
};

int svm_shrinker_init(void)
{
	return register_shrinker(&svm_shrinker, "svmirror");
}

void svm_shrinker_exit(void)
{
	unregister_shrinker(&svm_shrinker);
}
#endif
