// SPDX-License-Identifier: GPL-2.0-only
/* The load, as far as it rebinds. See workload.hpp. */
#include "tests/host/workload.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace svm_host
{

using std::chrono::microseconds;

void workload::prepare_rebound()
{
	/* Their own memory; kept memory, table by table and a few pages aside; churned memory, likewise. */
	const u64 kept = REBOUND - KEPT, churned = REBOUND - CHURN;

	/* One in a few frames, one in a block. */
	lent_[0].memory = std::make_unique<buffer>(*m_.mem, bound::PAGES, 0, false, 24, [this] { return bring(lent_[0]); });
	lent_[1].memory = std::make_unique<buffer>(*m_.mem, bound::PAGES, 1, true, BLOCK_FRAMES, [this] { return bring(lent_[1]); });
	for (lender &l : lent_)
		if (l.memory->place())
			complain("a buffer has no place");
	bound_.start_at(to_device(REBOUND),
			{s_.shift, s_.shift + kept, s_.shift + kept + 5 * PAGE, s_.shift + churned, s_.shift + churned - 3 * PAGE},
			{lent_[0].memory.get(), lent_[1].memory.get()});
	m_.device().set_rule([this](u64 va, u64 cpu) { return bound_.leads(va, cpu); });
	m_.proc->mmap({.start = REBOUND, .end = REBOUND + 2 * MiB, .object = {}});
	m_.proc->mmap({.start = REBOUND + 2 * MiB, .end = REBOUND + 4 * MiB, .thp = true, .object = {}});
}

void workload::end_lending()
{
	u64 seen = 0;

	for (lender &l : lent_) {
		seen += l.memory->sum();
		l.memory->give_back();
	}
	if (seen != lent_added_)
		complain("buffers: " + std::to_string(lent_added_) + " were added, " + std::to_string(seen) + " are there");
}

/* A fault or a prefetch needs it, and it had no place. By now it may have one, or come and go again. */
int workload::bring(lender &l)
{
	std::lock_guard one(l.moving);

	return l.memory->placed() ? 0 : l.memory->place();
}

/* Jobs go on; from the return of displace() on they reach nothing of it. Half of the times they have it brought back. */
void workload::move_some(random &r)
{
	sleep_for(microseconds(r() % 200));

	lender &l = lent_[r() % 4 == 0];
	std::lock_guard one(l.moving);

	l.memory->displace();
	if (r() % 2)
		return;
	sleep_for(microseconds(r() % 100));
	if (int err = l.memory->place(); !allowed(err))
		complain("a buffer has no place: error " + std::to_string(err));
}

u64 workload::rebound(random &r)
{
	return page_in(r, bound_.start() + r() % bound::TABLES * 2 * MiB, 2 * MiB);
}

/* In ascending order: a few pages here and there, or whole tables. */
std::vector<bound::part> workload::some_parts(random &r, unsigned first_kind)
{
	auto any = [&] { return first_kind + unsigned(r() % (bound_.kinds() - first_kind)); };
	std::vector<bound::part> parts;
	constexpr unsigned table = bound::PAGES / bound::TABLES;

	if (r() % 6 == 0) {
		unsigned first = unsigned(r() % bound::TABLES) * table;

		return {{first, r() % 2 ? first + table : bound::PAGES, any()}};
	}
	for (u64 n = 1 + r() % 4; n; n--)
		parts.push_back({unsigned((rebound(r) - bound_.start()) / PAGE), 0, any()});
	std::sort(parts.begin(), parts.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
	parts.erase(std::unique(parts.begin(), parts.end(), [](const auto &a, const auto &b) { return a.first == b.first; }),
		    parts.end());
	for (size_t i = 0; i < parts.size(); i++) {
		unsigned last = parts[i].first + 1 + unsigned(r() % (r() % 4 ? 12 : 300));

		parts[i].last = std::min(last, i + 1 < parts.size() ? parts[i + 1].first : bound::PAGES);
	}
	return parts;
}

void workload::rebind_parts(random &r, unsigned first_kind)
{
	sleep_for(microseconds(r() % 200));

	std::lock_guard one(rebinding_);
	std::vector<bound::part> parts = some_parts(r, first_kind);
	std::vector<svm_bind_op> ops;
	u64 v = 1;

	for (const auto &p : parts) {
		ops.push_back(bound_.op(p));
		bound_.changing(p);
	}

	int err = svm_bind_many(m_.vm, ops.data(), u32(ops.size()));
	bool can = m_.has_null() || std::none_of(parts.begin(), parts.end(), [](const auto &p) { return p.what == bound::NULLS; });

	for (const auto &p : parts)
		bound_.changed(p, !err);
	if (can ? !allowed(err) : err != -EOPNOTSUPP && (!err || !allowed(err)))
		complain("rebind: error " + std::to_string(err));
	if (!bound_.agrees(m_.vm))
		complain("svm_bindings() lists something else than what was bound");
	for (const auto &p : parts) {
		u64 va = bound_.at(p.first);

		/* Whether it may reach what it reaches, the device asks for itself. */
		(void)m_.device().read(va);
		if (bound_.what(va) != bound::NULLS)
			continue;
		err = m_.device_read(va, &v);
		if (!allowed(err) && err != -EAGAIN)
			complain("a read of null: error " + std::to_string(err));
		if (!err && v)
			complain("null does not read as zero");
	}
}

void workload::rebind(random &r)
{
	rebind_parts(r, bound::HOLE);
}

void workload::rebind_mirrors(random &r)
{
	rebind_parts(r, bound::MIRRORS);
}

/* What is added to kept memory has to be there in the end, by whatever address it got there. */
void workload::use_rebound(random &r)
{
	u64 va = rebound(r);
	unsigned how = unsigned(r() % 4);
	int err = 0;

	if (how == 3) {
		err = m_.fault(va, svm_access(r() % 3));
	} else {
		machine::patience left;
		gpu::answer a;

		for (unsigned turn = 0; turn < 20 && !err; turn++) {
			a = how ? m_.device().add(va, 1) : m_.device().read(va);
			if (a.what != gpu::status::fault)
				break;
			err = m_.serve(va, how ? SVM_ATOMIC : SVM_READ, left);
		}
		if (how && a.what == gpu::status::ok && a.home >= KEPT && a.home < KEPT_THP + KEPT_THP_SIZE)
			added_.fetch_add(1, std::memory_order_relaxed);
		if (how && a.what == gpu::status::ok && buffer::is_home(a.home))
			lent_added_.fetch_add(1, std::memory_order_relaxed);
		if (a.what == gpu::status::ok && a.home && !buffer::is_home(a.home))
			check_word(a.home, a.value);
	}
	check_error("access to what is rebound", err);
}

void workload::prefetch_rebound(random &r)
{
	u64 start = rebound(r), end = std::min(start + (1 + r() % 300) * PAGE, bound_.end()), pages = 0;
	int err = svm_prefetch(m_.vm, start, end, svm_access(r() % 2), &pages);

	if (!allowed(err) && err != -EINVAL) /* a hole */
		complain("prefetch of what is rebound: error " + std::to_string(err));
	if (pages > (end - start) / PAGE)
		complain("prefetch counts more pages than there are");
}

/* The memory that the addresses mirror by their first offset. */
void workload::churn_rebound(random &r)
{
	sleep_for(microseconds(r() % 200));

	u64 cpu = rebound(r) - s_.shift, end = std::min(cpu + (1 + r() % 30) * PAGE, REBOUND + 4 * MiB);
	mm_struct &p = *m_.proc;

	switch (r() % 6) {
	case 0:
		p.dontneed(cpu, end);
		break;
	case 1:
		p.munmap(cpu, end);
		p.mmap({.start = cpu, .end = end, .object = {}});
		break;
	case 2:
		p.mprotect(cpu, end, unsigned(r() % 4) & PROT_RW);
		p.mprotect(cpu, end, PROT_RW);
		break;
	case 3:
		p.munmap(REBOUND + 2 * MiB, REBOUND + 4 * MiB);
		p.mmap({.start = REBOUND + 2 * MiB, .end = REBOUND + 4 * MiB, .thp = true, .object = {}});
		break;
	case 4:
		p.dontneed(REBOUND, REBOUND + 4 * MiB);
		break;
	case 5:
		p.write(cpu, cpu / PAGE << 32);
		break;
	}
}

} // namespace svm_host
