// SPDX-License-Identifier: GPL-2.0-only
/* The port over the simulated machine: intervals, the fault, DMA. */
#include "tests/host/check.hpp"
#include "tests/host/domain.hpp"

#include <cerrno>
#include <optional>
#include <string>

using namespace svm_host;

/* ---- intervals ---- */

struct port_interval : interval {
	port_domain *of;
};

int port_interval_create(port_domain *d, u64 cpu_start, u64 cpu_end, void *owner, port_interval **out)
{
	point();
	if (alloc_step("port_interval_create"))
		return -ENOMEM;
	if (port_killed())
		return -EINTR;
	in_session(d, "port_interval_create");
	if (port_mmap_held(d))
		complain("port_interval_create with mmap_lock held");
	if (cpu_start >= cpu_end || cpu_end > USER_END)
		complain("an interval outside of the user's addresses");

	auto *i = new port_interval;

	i->start = cpu_start;
	i->last = cpu_end - 1;
	i->owner = owner;
	i->domain = i->of = d;
	d->mm().notifiers().insert(*i);
	d->intervals++;
	live.intervals++;
	*out = i;
	return 0;
}

void port_interval_destroy(port_interval *i)
{
	point();
	might_sleep("port_interval_destroy");
	if (current().callbacks)
		complain("an interval is destroyed in a callback");
	i->of->mm().notifiers().remove(*i);
	i->of->intervals--;
	live.intervals--;
	delete i;
}

u64 port_interval_seq(const port_interval *i)
{
	point();
	return i->seq.load_relaxed();
}

u64 port_user_end(port_domain *)
{
	point();
	return USER_END;
}

/* ---- fault ---- */

static u64 word_of(const entry &e)
{
	return memory::dma_of(e.frame) >> PORT_PAGE_LG2 | PORT_PAGE_VALID | (e.write ? PORT_PAGE_WRITE : 0) |
	       (e.lent ? PORT_PAGE_VRAM : 0);
}

/* One CPU mapping covers the block that was asked for: it is the whole answer. */
static bool take_block(address_space &mm, struct port_fault &f)
{
	u64 size = 1ull << f.block_lg2;
	u64 base = f.cpu & ~(size - 1);

	if (f.block_lg2 != BLOCK_LG2 || base < f.block_start || base + size > f.block_end)
		return false;

	const vma *v = mm.find(f.cpu);
	auto e = mm.snapshot_block(f.cpu);

	if (!v || !e || base < v->start || base + size > v->end || (f.write && !e->write))
		return false;
	f.page[0] = word_of(*e);
	f.block = true;
	return true;
}

static bool has(const struct port_fault &f, u64 at)
{
	u64 i = (at - f.start) / PAGE;

	return f.have[i / 64] >> (i % 64) & 1;
}

/* Makes a wanted page present if that needs no wait. A prefetch: the first that does ends the bringing. */
static int bring_wanted(address_space &mm, struct port_fault &f, const vma *here, u64 at)
{
	if (!here || at < f.want_start || at >= f.want_end || f.wait != PORT_NO_PAGE)
		return 0;

	int err = mm.fault_in(at, f.write, false, true);

	if (f.must)
		return 0;
	if (err == -EINPROGRESS && !here->managed)
		f.wait = at;
	return err == -ENOMEM ? err : 0;
}

/*
 * mmap_lock held. The page of a fault must be there; the wanted ones, of a fault those of its VMA, as far as they can
 * be had; the rest as it is.
 */
static int gather_pages(address_space &mm, struct port_fault &f)
{
	if (f.must && has(f, f.cpu))
		complain("port_fault: the table has the page of the fault");

	bool bring = f.must || f.bring;
	int err = has(f, f.cpu) || !bring ? 0 : mm.fault_in(f.cpu, f.write, false, true);

	if (err && (f.must || err == -ENOMEM))
		return err;
	if (!err && !has(f, f.cpu) && take_block(mm, f))
		return 0;

	const vma *v = mm.find(f.cpu), *here = v;

	for (u64 at = f.start; at < f.end; at += PAGE) {
		u64 &word = f.page[(at - f.start) / PAGE];

		word = 0;
		if (has(f, at))
			continue;
		if (!here || at < here->start || at >= here->end)
			here = mm.find(at);
		if (bring && (!f.must || here == v))
			err = bring_wanted(mm, f, here, at);
		if (err == -ENOMEM)
			return err;
		if (auto e = mm.snapshot(here, at))
			word = word_of(*e);
	}
	return 0;
}

/* mmap_lock held. The one page, which the CPU has no access to then. What had to be brought is for another pass. */
static int take_page(port_domain *d, struct port_fault &f)
{
	address_space &mm = d->mm();
	auto e = mm.snapshot(mm.find(f.cpu), f.cpu);

	if (!e || !e->write) {
		int err = mm.fault_in(f.cpu, true, false, true);

		return err ? err : -EBUSY;
	}
	f.page[0] = word_of(*e);
	if (e->lent)
		return 0;

	entry taken;
	int err = mm.take_alone(f.cpu, d, taken);

	if (err)
		return err;
	return word_of(taken) == f.page[0] ? 0 : -EBUSY;
}

static bool is_mapping(u64 word)
{
	return (word & PORT_PAGE_VALID) && !(word & PORT_PAGE_VRAM);
}

/* Maps what was found for DMA, all or nothing. */
static int map_pages(memory &mem, struct port_fault &f)
{
	u64 n = f.block ? 1 : (f.end - f.start) / PAGE;
	u32 lg2 = f.block ? BLOCK_LG2 : 12;

	for (u64 i = 0; i < n; i++) {
		if (!(f.page[i] & PORT_PAGE_VALID))
			continue;
		f.mapped++;
		if (f.page[i] & PORT_PAGE_VRAM) {
			f.lent++;
			continue;
		}
		if (inject.step()) {
			while (i--)
				if (is_mapping(f.page[i]))
					mem.dma_unmap(PORT_PAGE_DMA(f.page[i]), lg2, false);
			return -ENOMEM;
		}
		mem.dma_map(mem.of_dma(PORT_PAGE_DMA(f.page[i])), lg2);
	}
	return 0;
}

static bool sound(const struct port_fault &f)
{
	return f.cpu % PAGE == 0 && f.start % PAGE == 0 && f.end % PAGE == 0 && f.start <= f.cpu && f.cpu < f.end &&
	       f.want_start >= f.start && f.want_end <= f.end;
}

/* Is the page of a fault there, as the access needs it? */
static bool answered(const struct port_fault &f)
{
	u64 word = f.page[f.block ? 0 : (f.cpu - f.start) / PAGE];

	return (word & PORT_PAGE_VALID) && (!f.write || (word & PORT_PAGE_WRITE));
}

static bool lock_map(port_domain *d)
{
	if (port_mmap_held(d))
		return true;
	current().mmap_lock_count++;
	return d->mm().mmap_lock().lock_shared_unless([] { return port_killed(); });
}

static void unlock_map(port_domain *d)
{
	if (!port_mmap_held(d))
		d->mm().mmap_lock().unlock_shared();
}

int port_mmap_lock(port_domain *d)
{
	point();
	might_sleep("port_mmap_lock");
	in_session(d, "port_mmap_lock");
	if (port_mmap_held(d))
		complain("port_mmap_lock twice");
	if (!lock_map(d))
		return -EINTR;
	if (d->mmap_holder.exchange(&current(), std::memory_order_relaxed))
		complain("port_mmap_lock by two threads of a domain");
	return 0;
}

void port_mmap_unlock(port_domain *d)
{
	point();
	d->mmap_holder.store(nullptr, std::memory_order_relaxed);
	d->mm().mmap_lock().unlock_shared();
}

bool port_mmap_held(port_domain *d)
{
	return d->mmap_holder.load(std::memory_order_relaxed) == &current();
}

bool port_mmap_written(port_domain *d)
{
	point();
	return d->mm().mmap_lock().written();
}

static void not_held(port_domain *d, const char *where)
{
	if (port_mmap_held(d))
		complain(std::string(where) + " with mmap_lock held");
}

static int fault(port_domain *d, struct port_fault &f)
{
	address_space &mm = d->mm();

	f.seq = mm.notifiers().read_begin(f.seq);
	if (!lock_map(d))
		return -EINTR;

	int err = f.alone ? take_page(d, f) : gather_pages(mm, f);

	/* The page may be taken again before it is looked at: hmm_range_fault() begins anew then. Each turn is another thread's progress. */
	for (int turn = 0; turn < 1000 && !err && f.must && !f.alone && !answered(f); turn++)
		err = gather_pages(mm, f);
	unlock_map(d);
	return err ? err : map_pages(mm.mem(), f);
}

int port_fault(port_domain *d, struct port_fault *f)
{
	point();
	task &self = current();

	might_sleep("port_fault");
	if (self.callbacks || self.reclaims)
		complain("port_fault in a callback or in the shrinker");
	if (!sound(*f))
		complain("port_fault: spans that do not contain one another");
	self.fault_count++;
	if (hook.fault_entry)
		hook.fault_entry(*f);
	in_session(d, "port_fault");
	f->block = false;
	f->mapped = 0;
	f->lent = 0;
	f->wait = PORT_NO_PAGE;
	if (port_killed())
		return -EINTR;

	int err = fault(d, *f);

	if (hook.fault_exit)
		hook.fault_exit(*f);
	return err;
}

/* The first mapping that ends above cpu and permits the access. */
static std::optional<vma> next_mapping(port_domain *d, u64 cpu, unsigned need, const char *where)
{
	address_space &mm = d->mm();
	std::optional<vma> found;

	might_sleep(where);
	if (current().callbacks || current().reclaims)
		complain(std::string(where) + " in a callback or in the shrinker");
	in_session(d, where);
	if (!lock_map(d))
		return found;
	if (const vma *v = mm.next(cpu, need))
		found = *v;
	unlock_map(d);
	return found;
}

bool port_mapped(port_domain *d, u64 cpu)
{
	point();
	auto v = next_mapping(d, cpu, PROT_R, "port_mapped");

	return v && v->start <= cpu;
}

bool port_next_mapping(port_domain *d, u64 cpu, u64 limit, bool write, u64 *start, u64 *end)
{
	point();
	auto v = next_mapping(d, cpu, write ? PROT_RW : PROT_R, "port_next_mapping");

	if (!v || v->start >= limit)
		return false;
	*start = v->start;
	*end = v->end;
	return true;
}

int port_wait(port_domain *d, u64 cpu, bool write, bool user)
{
	point();

	might_sleep("port_wait");
	if (current().callbacks || current().reclaims)
		complain("port_wait in a callback or in the shrinker");
	if (current().readers)
		complain("port_wait inside a reader section");
	in_session(d, "port_wait");
	not_held(d, "port_wait");
	current().mmap_lock_count++;
	return d->mm().fault_in_unlocked(cpu, write, user, [d] { return port_killed() || svm_port_gone(d->owner()); });
}

/* ---- device memory ---- */

int port_migrate(port_domain *d, struct port_migrate *m)
{
	point();
	address_space &mm = d->mm();

	might_sleep("port_migrate");
	if (current().callbacks || current().reclaims)
		complain("port_migrate in a callback or in the shrinker");
	if (current().readers)
		complain("port_migrate inside a reader section, which its own notifiers' users may wait for");
	in_session(d, "port_migrate");
	not_held(d, "port_migrate");
	m->reached = m->start;
	m->moved = 0;
	if (alloc_step("port_migrate"))
		return -ENOMEM;
	for (u64 n = 0; m->reached < m->end && n < PORT_MIGRATE_PAGES; n++, m->reached += PAGE) {
		if (port_killed())
			return -EINTR;
		m->moved += m->into ? mm.lend(m->reached) : mm.take_home(m->reached);
	}
	return 0;
}

/* ---- DMA ---- */

void port_dma_release(port_domain *d, const u64 *word, u32 n, u32 lg2, bool dirty)
{
	for (u32 i = 0; i < n; i++) {
		if (!is_mapping(word[i]))
			continue;
		point();
		d->mm().mem().dma_unmap(PORT_PAGE_DMA(word[i]), lg2, dirty && word[i] & PORT_PAGE_WRITE);
	}
}

void port_dma_abandon(port_domain *d, u64 n)
{
	point();
	d->mm().mem().dma_abandon(n);
}
