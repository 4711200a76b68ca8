// SPDX-License-Identifier: GPL-2.0-only
/* The load. See workload.hpp. */
#include "tests/host/workload.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace svm_host
{

using std::chrono::microseconds;

static constexpr unsigned HOT = 16; /* pages of each mapping that are used much */

const std::vector<workload::scenario> &workload::scenarios()
{
	using w = workload;
	static const std::vector<scenario> all = {
		{.name = "churn_beside_kept_memory",
		 .threads = {&w::use, &w::use, &w::add_by_device, &w::add_by_cpu, &w::churn, &w::shrink_some}},
		{.name = "nothing_is_lost",
		 .threads = {&w::add_by_device, &w::add_by_device, &w::add_by_cpu, &w::shake, &w::shake}},
		{.name = "windows_come_and_go",
		 .threads = {&w::use, &w::use, &w::churn, &w::come_and_go, &w::come_and_go, &w::come_and_go,
			     &w::shrink_some},
		 .interval_lg2 = 21,
		 .all = false},
		{.name = "reclaim_inside_allocation",
		 .threads = {&w::use, &w::use, &w::churn, &w::shrink_some},
		 .errors = {-ENOMEM}},
		{.name = "tables_come_and_go",
		 .threads = {&w::use_sparse, &w::use_sparse, &w::use_sparse, &w::empty_some, &w::empty_some, &w::shrink_some}},
		{.name = "table_memory_runs_out",
		 .threads = {&w::use_sparse, &w::use_sparse, &w::use, &w::churn, &w::add_by_device, &w::add_by_cpu, &w::shake},
		 .tables = 8,
		 .errors = {-ENOMEM}},
		{.name = "windows_go_while_tables_are_evicted",
		 .threads = {&w::use, &w::use, &w::come_and_go, &w::come_and_go, &w::come_and_go, &w::churn},
		 .interval_lg2 = 21,
		 .all = false,
		 .tables = 5,
		 .errors = {-ENOMEM}},
		{.name = "tables_are_new",
		 .threads = {&w::use_new, &w::use_new, &w::use_new, &w::empty_new, &w::empty_new, &w::shrink_some}},
		{.name = "files_are_truncated",
		 .threads = {&w::use_file, &w::use_file, &w::truncate_some, &w::add_by_device, &w::shrink_some}},
		{.name = "prefetch_is_killed",
		 .threads = {&w::prefetch_some, &w::prefetch_some, &w::churn, &w::shake, &w::add_by_device}},
		{.name = "pages_go_to_the_device_and_come_home",
		 .threads = {&w::use, &w::add_by_device, &w::add_by_device, &w::add_by_cpu, &w::lend_some, &w::lend_some, &w::churn,
			     &w::shake, &w::shrink_some}},
		{.name = "lent_pages_in_tables_that_are_evicted",
		 .threads = {&w::use_sparse, &w::use_sparse, &w::add_by_device, &w::add_by_cpu, &w::lend_some, &w::churn},
		 .tables = 6,
		 .errors = {-ENOMEM}},
		{.name = "at_an_offset",
		 .threads = {&w::use, &w::use_file, &w::add_by_device, &w::churn, &w::shake, &w::shrink_some},
		 .interval_lg2 = 22,
		 .shift = 64 * GiB},
		{.name = "allocations_fail",
		 .threads = {&w::use, &w::use, &w::churn, &w::fail_some, &w::shrink_some},
		 .errors = {-ENOMEM}},
		{.name = "rebinds_beside_faults_and_churn",
		 .threads = {&w::rebind, &w::rebind, &w::use_rebound, &w::use_rebound, &w::use_rebound, &w::churn_rebound, &w::churn,
			     &w::shake, &w::shrink_some}},
		{.name = "rebinds_while_tables_are_evicted",
		 .threads = {&w::rebind, &w::use_rebound, &w::use_rebound, &w::use_sparse, &w::use_sparse, &w::churn_rebound,
			     &w::add_by_cpu},
		 .tables = 6,
		 .errors = {-ENOMEM}},
		{.name = "several_offsets_in_one_table",
		 .threads = {&w::rebind_mirrors, &w::use_rebound, &w::use_rebound, &w::use_rebound, &w::churn_rebound, &w::churn,
			     &w::shake, &w::add_by_cpu}},
		{.name = "rebinds_at_an_offset",
		 .threads = {&w::rebind, &w::use_rebound, &w::use_rebound, &w::prefetch_rebound, &w::churn_rebound, &w::shake},
		 .interval_lg2 = 21,
		 .shift = 64 * GiB},
		{.name = "rebinds_without_memory",
		 .threads = {&w::rebind, &w::rebind, &w::use_rebound, &w::use_rebound, &w::churn_rebound, &w::move_some, &w::fail_some},
		 .errors = {-ENOMEM}},
		{.name = "buffers_move",
		 .threads = {&w::rebind, &w::use_rebound, &w::use_rebound, &w::use_rebound, &w::move_some, &w::move_some, &w::churn_rebound,
			     &w::shrink_some}},
		{.name = "buffers_move_while_tables_are_evicted",
		 .threads = {&w::rebind, &w::use_rebound, &w::use_rebound, &w::move_some, &w::use_sparse, &w::use_sparse, &w::prefetch_rebound},
		 .tables = 6,
		 .errors = {-ENOMEM}},
		{.name = "exit_amid_faults",
		 .threads = {&w::use, &w::add_by_device, &w::prefetch_some, &w::exit_some_time, &w::shrink_some},
		 .kept_survives = false},
	};

	return all;
}

const workload::scenario *workload::find(const std::string &name)
{
	for (const scenario &s : scenarios())
		if (s.name == name)
			return &s;
	return nullptr;
}

void workload::prepare()
{
	if (int err = m_.create(s_.interval_lg2))
		complain("no vm: error " + std::to_string(err));
	prepare_rebound();
	m_.gpus->limit = s_.tables;
	if (s_.tables != ~0ull && svm_format_describe(svm_format_find(m_.format.c_str()))->va_bits > 48)
		m_.gpus->limit += 2; /* for the directories of a longer way */
	m_.proc->mmap({.start = CHURN, .end = CHURN + CHURN_SIZE, .object = {}});
	m_.proc->mmap({.start = CHURN_THP, .end = CHURN_THP + CHURN_THP_SIZE, .thp = true, .object = {}});
	m_.proc->mmap({.start = KEPT, .end = KEPT + KEPT_SIZE, .object = {}});
	m_.proc->mmap({.start = KEPT_THP, .end = KEPT_THP + KEPT_THP_SIZE, .thp = true, .object = {}});
	m_.proc->mmap({.start = OBJECT,
		       .end = OBJECT + OBJECT_SIZE,
		       .kind = backing::shared,
		       .object = std::make_shared<file>(*m_.mem)});
	m_.proc->mmap({.start = NEW, .end = NEW + NEW_TABLES * 2 * MiB, .object = {}});
	m_.proc->mmap({.start = SPARSE, .end = SPARSE + SPARSE_TABLES * 2 * MiB, .object = {}});
	if (!s_.all)
		return;

	int err = s_.shift ? svm_bind(m_.vm, to_device(ARENA), to_device(ARENA + ALL_SIZE), s64(s_.shift))
			   : svm_bind_all(m_.vm);

	if (err)
		complain("no window: error " + std::to_string(err));
}

void workload::run(const std::function<bool()> &stop, const std::function<random(size_t thread)> &source)
{
	std::vector<thread> threads;

	if (s_.name == "reclaim_inside_allocation")
		reclaim_on_alloc(true);
	for (size_t i = 0; i < s_.threads.size(); i++)
		threads.emplace_back([&, i] {
			random r = source(i);

			while (!stop())
				(this->*s_.threads[i])(r);
		});
	for (thread &t : threads)
		t.join();
	hook.alloc = nullptr;
	inject.arm(0);
	end_lending();
	if (s_.kept_survives)
		if (u64 seen = sum(); seen != added_)
			complain("kept memory: " + std::to_string(added_) + " were added, " + std::to_string(seen) +
				 " are there");
}

/* ---- places ---- */

/* Mostly a few pages, so that threads meet; some spread over the borders of groups. */
u64 workload::page_in(random &r, u64 start, u64 size)
{
	u64 i = r() % 4 ? r() % HOT * 5 : r() % (size / PAGE);

	return start + i % (size / PAGE) * PAGE;
}

u64 workload::churned(random &r)
{
	return r() % 3 ? page_in(r, CHURN, CHURN_SIZE) : page_in(r, CHURN_THP, CHURN_THP_SIZE);
}

u64 workload::kept(random &r)
{
	return r() % 2 ? page_in(r, KEPT, KEPT_SIZE) : page_in(r, KEPT_THP, KEPT_THP_SIZE);
}

/* ---- the device ---- */

/* The word for a page says whose it is, and leaves room for what is added to it. */
static u64 word_for(u64 va, u64 n)
{
	return (va / PAGE) << 32 | (n & 0x7fffffff);
}

void workload::check_word(u64 va, u64 value)
{
	if (value >> 32 && value >> 32 != ((va / PAGE) & 0xffffffff))
		complain("the device read another page's word");
}

bool workload::allowed(int err) const
{
	return !err || std::find(s_.errors.begin(), s_.errors.end(), err) != s_.errors.end();
}

void workload::check_error(const char *what, int err)
{
	/* A thread that churns can always be a step ahead. */
	if (!allowed(err) && err != -EFAULT && err != -EPERM && err != -EAGAIN)
		complain(std::string(what) + ": error " + std::to_string(err));
}

void workload::use_at(random &r, u64 va)
{
	u64 v = 0;
	int err = 0;

	switch (r() % 3) {
	case 0:
		err = m_.device_read(to_device(va), &v);
		if (!err)
			check_word(va, v);
		break;
	case 1:
		err = m_.device_write(to_device(va), word_for(va, r()));
		break;
	case 2:
		err = m_.fault(to_device(va), svm_access(r() % 3));
		break;
	}
	check_error("device access", err);
}

void workload::use(random &r)
{
	use_at(r, churned(r));
}

void workload::use_file(random &r)
{
	use_at(r, page_in(r, OBJECT, OBJECT_SIZE));
}

void workload::use_sparse(random &r)
{
	sleep_for(microseconds(r() % 300));
	use_at(r, SPARSE + r() % SPARSE_TABLES * 2 * MiB + r() % SPARSE_PAGES * PAGE);
}

/* All threads are at the newest table, or go on to the next one. */
u64 workload::new_page(random &r)
{
	u64 n = r() % 4 ? newest_.load(std::memory_order_relaxed) : newest_.fetch_add(1, std::memory_order_relaxed) + 1;

	return NEW + n % NEW_TABLES * 2 * MiB + r() % 2 * PAGE;
}

void workload::use_new(random &r)
{
	use_at(r, new_page(r));
}

/* Must succeed in the end: the memory is there and may be written, but for moments. */
void workload::add_by_device(random &r)
{
	u64 va = kept(r);

	for (machine::patience left;;) {
		if (m_.device().add(to_device(va), 1).what == gpu::status::ok)
			break;

		int err = m_.serve(to_device(va), SVM_ATOMIC, left);

		if (err == -EFAULT && !s_.kept_survives)
			return;
		if (!allowed(err) && err != -EAGAIN && err != -EPERM) {
			complain("kept memory: error " + std::to_string(err));
			return;
		}
	}
	added_.fetch_add(1, std::memory_order_relaxed);
}

void workload::prefetch_some(random &r)
{
	static constexpr u64 starts[] = {CHURN, CHURN_THP, KEPT, KEPT_THP};
	u64 start = starts[r() % 4] + r() % 8 * PAGE;
	u64 end = start + (1 + r() % 1024) * PAGE;
	u64 pages = 0;
	bool killed = r() % 4 == 0;

	current().killed = killed;

	int err = svm_prefetch(m_.vm, to_device(start), to_device(end), svm_access(r() % 2), &pages);

	current().killed = false;
	if (err != (killed ? -EINTR : 0) && (err != -EFAULT || m_.running))
		complain("prefetch: error " + std::to_string(err));
	if (pages > (end - start) / PAGE)
		complain("prefetch counts more pages than there are");
}

/* Mostly a few pages; to the device's memory and out of it. */
void workload::lend_some(random &r)
{
	u64 start = r() % 2 ? churned(r) : kept(r), pages = 0;
	u64 end = start + (1 + r() % 32) * PAGE;
	svm_aperture to = r() % 3 ? SVM_VRAM : SVM_SYSTEM;
	int err = svm_migrate(m_.vm, to_device(start), to_device(end), to, &pages);

	if (to == SVM_VRAM && !m_.has_vram() && err == -EOPNOTSUPP)
		return;
	if (!allowed(err) && (err != -EFAULT || m_.running))
		complain("migrate: error " + std::to_string(err));
	if (pages > (end - start) / PAGE)
		complain("migrate counts more pages than there are");
	sleep_for(microseconds(r() % 200));
}

/* ---- the process ---- */

void workload::add_by_cpu(random &r)
{
	if (m_.proc->add(kept(r), 1) == 0)
		added_.fetch_add(1, std::memory_order_relaxed);
}

void workload::churn(random &r)
{
	sleep_for(microseconds(r() % 200));

	u64 va = churned(r);
	u64 size = (1 + r() % 40) * PAGE;
	mm_struct &p = *m_.proc;

	switch (r() % 6) {
	case 0:
		p.dontneed(va, va + PAGE);
		break;
	case 1:
		p.dontneed(va, std::min(va + size, CHURN_THP + CHURN_THP_SIZE));
		break;
	case 2: {
		u64 end = std::min(va + size, CHURN + CHURN_SIZE);

		if (va >= end)
			break;
		p.munmap(va, end);
		p.mmap({.start = va, .end = end, .object = {}});
		break;
	}
	case 3:
		p.mprotect(va, va + PAGE, unsigned(r() % 4) & PROT_RW);
		p.mprotect(va, va + PAGE, PROT_RW);
		break;
	case 4:
		p.munmap(CHURN_THP, CHURN_THP + CHURN_THP_SIZE);
		p.mmap({.start = CHURN_THP, .end = CHURN_THP + CHURN_THP_SIZE, .thp = true, .object = {}});
		break;
	case 5:
		p.oom_reap(va, va + PAGE);
		break;
	}
}

void workload::truncate_some(random &r)
{
	sleep_for(microseconds(r() % 300));
	m_.proc->truncate(page_in(r, OBJECT, OBJECT_SIZE));
}

void workload::empty_some(random &r)
{
	u64 va = SPARSE + r() % SPARSE_TABLES * 2 * MiB;

	m_.proc->dontneed(va, va + (r() % 2 ? 2 * MiB : PAGE)); /* a fault brings neighbours along */
	for (u64 turns = r() % 4; turns > 1; turns--) /* the first one asks who is idle, the next one takes them */
		shrink(SPARSE_TABLES);
}

void workload::empty_new(random &r)
{
	sleep_for(microseconds(r() % 200));

	u64 va = new_page(r);

	m_.proc->dontneed(va, va + PAGE);
}

void workload::exit_some_time(random &r)
{
	if (m_.running && r() % 16 == 0)
		m_.exit();
	sleep_for(microseconds(100));
}

/* ---- the kernel ---- */

/* Changes under which data must survive. */
void workload::shake(random &r)
{
	mm_struct &p = *m_.proc;

	sleep_for(microseconds(r() % 400));
	switch (r() % 8) {
	case 0:
		p.fork();
		break;
	case 1:
	case 2:
	case 3:
		p.swap_out(kept(r));
		break;
	case 4:
		p.migrate(kept(r));
		break;
	case 5: {
		u64 va = kept(r);

		p.mprotect(va, va + PAGE, PROT_R);
		p.mprotect(va, va + PAGE, PROT_RW);
		break;
	}
	case 6:
		p.collapse(KEPT_THP);
		break;
	case 7: {
		u64 v;

		p.read(churned(r), &v);
		break;
	}
	}
}

void workload::shrink_some(random &r)
{
	shrink(1 + r() % 8);
	sleep_for(microseconds(100 + r() % 400));
}

void workload::fail_some(random &r)
{
	inject.arm(1 + r() % 6);
	sleep_for(microseconds(r() % 300));
}

/* ---- the driver ---- */

/* A window of 2 MiB comes and goes under the device's accesses; each thread has its own place. */
void workload::come_and_go(random &r)
{
	struct place {
		u64 at = 0;
	};
	static constexpr u64 places[] = {CHURN, CHURN + 2 * MiB, CHURN_THP};
	u64 &at = own<place>().at;

	if (!at)
		at = to_device(places[windows_.fetch_add(1, std::memory_order_relaxed) % 3]);

	u64 pages = 0;

	if (svm_bind(m_.vm, at, at + 2 * MiB, s64(s_.shift)) != 0)
		complain("bind failed");
	svm_prefetch(m_.vm, at, at + 2 * MiB, SVM_WRITE, &pages);
	sleep_for(microseconds(r() % 2000));
	if (svm_unbind(m_.vm, at, at + 2 * MiB) != 0)
		complain("unbind failed");
	for (u64 va = at; va < at + 2 * MiB; va += 16 * PAGE)
		if (m_.device().read(va).what == gpu::status::ok)
			complain("an access through an unbound window");
}

u64 workload::sum()
{
	u64 total = 0, v = 0;

	for (u64 va = KEPT; va < KEPT_THP + KEPT_THP_SIZE; va += PAGE) {
		if (int err = m_.proc->read(va, &v))
			complain("kept memory: the CPU reads error " + std::to_string(err));
		total += v;
	}
	return total;
}

} // namespace svm_host
