// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, for a few seconds: device threads read, write and add through the
 * tables and serve their own faults, while others unmap, protect, fork, swap, migrate,
 * collapse, unbind and shrink.
 *
 * What must hold is checked by the machine (no access to a page that was freed, is another
 * address's, or is shared by fork; no walk of a freed table; every DMA mapping given back
 * once) and, for memory that nobody unmaps, by an exact sum.
 *
 * SVM_STRESS_SEED and SVM_STRESS_SECONDS choose; the seed is printed.
 */
#include "tests/unit/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace svm_test
{

static u64 setting(const char *name, u64 otherwise)
{
	const char *text = std::getenv(name);

	return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

class stress_test : public machine
{
protected:
	using random = std::mt19937_64;
	using clock = std::chrono::steady_clock;

	/* Churned: two small-page tables and a THP one. Kept: one of each, changed in place only. */
	static constexpr u64 CHURN = BASE, CHURN_SIZE = 4 * MiB;
	static constexpr u64 CHURN_THP = BASE + 4 * MiB, CHURN_THP_SIZE = 2 * MiB;
	static constexpr u64 KEPT = BASE + 8 * MiB, KEPT_SIZE = 2 * MiB;
	static constexpr u64 KEPT_THP = BASE + 10 * MiB, KEPT_THP_SIZE = 2 * MiB;
	static constexpr unsigned HOT = 16; /* pages of each that are used much */

	void run(std::vector<std::function<void(random &)>> workers)
	{
		u64 seed = setting("SVM_STRESS_SEED", std::random_device{}());
		auto stop = clock::now() + std::chrono::milliseconds(1000 * setting("SVM_STRESS_SECONDS", 3));
		std::vector<std::thread> threads;

		std::printf("seed %llu\n", seed);
		for (size_t i = 0; i < workers.size(); i++)
			threads.emplace_back([&, i] {
				random r(seed + i);

				while (clock::now() < stop)
					workers[i](r);
			});
		for (auto &t : threads)
			t.join();
		svm_counters c = count();

		std::printf(
			"faults %llu duplicates %llu retries %llu failed %llu invalidations %llu zapped %llu huge %llu "
			"tables made %llu freed %llu, device walks %llu\n",
			c.faults, c.duplicates, c.retries, c.failed, c.invalidations, c.ptes_zapped, c.huge_leaves,
			c.tables_made, c.tables_freed, device().walks());
	}

	static u64 page_in(random &r, u64 start, u64 size)
	{
		u64 pages = size / PAGE;
		/* Mostly a few pages, so that threads meet; some spread over group borders. */
		u64 i = r() % 4 ? r() % HOT * 5 : r() % pages;

		return start + i % pages * PAGE;
	}

	u64 churned(random &r)
	{
		return r() % 3 ? page_in(r, CHURN, CHURN_SIZE) : page_in(r, CHURN_THP, CHURN_THP_SIZE);
	}

	u64 kept(random &r)
	{
		return r() % 2 ? page_in(r, KEPT, KEPT_SIZE) : page_in(r, KEPT_THP, KEPT_THP_SIZE);
	}

	bool allowed(int err)
	{
		return err == 0 || err == -EFAULT || err == -EPERM || err == -EAGAIN;
	}

	void use(random &r)
	{
		u64 v;
		int err = 0;

		switch (r() % 3) {
		case 0:
			err = device_read(churned(r), &v);
			break;
		case 1:
			err = device_write(churned(r), r());
			break;
		case 2:
			err = fault(churned(r), svm_access(r() % 3));
			break;
		}
		if (!allowed(err))
			complain("device access: error " + std::to_string(err));
	}

	/* Adds 1 from the device. Must succeed in the end: the memory is there and may be written, but for moments. */
	void add_once(random &r)
	{
		u64 va = kept(r);

		for (;;) {
			if (device().add(va, 1).what == gpu::status::ok)
				break;
			if (int err = fault(va, SVM_ATOMIC); err && err != -EAGAIN && err != -EPERM) {
				complain("kept memory: error " + std::to_string(err));
				return;
			}
		}
		added.fetch_add(1, std::memory_order_relaxed);
	}

	void cpu_add(random &r)
	{
		if (proc->add(kept(r), 1) == 0)
			added.fetch_add(1, std::memory_order_relaxed);
	}

	void churn(random &r)
	{
		std::this_thread::sleep_for(std::chrono::microseconds(r() % 200));
		u64 va = churned(r);
		u64 size = (1 + r() % 40) * PAGE;

		switch (r() % 6) {
		case 0:
			proc->dontneed(va, va + PAGE);
			break;
		case 1:
			proc->dontneed(va, std::min(va + size, CHURN_THP + CHURN_THP_SIZE));
			break;
		case 2: {
			u64 end = std::min(va + size, CHURN + CHURN_SIZE);

			if (va >= end)
				break;
			proc->munmap(va, end);
			proc->mmap({.start = va, .end = end, .object = {}});
			break;
		}
		case 3:
			proc->mprotect(va, va + PAGE, unsigned(r() % 4) & PROT_RW);
			proc->mprotect(va, va + PAGE, PROT_RW);
			break;
		case 4:
			proc->munmap(CHURN_THP, CHURN_THP + CHURN_THP_SIZE);
			proc->mmap({.start = CHURN_THP, .end = CHURN_THP + CHURN_THP_SIZE, .thp = true, .object = {}});
			break;
		case 5:
			proc->oom_reap(va, va + PAGE);
			break;
		}
	}

	/* Changes under which data must survive. */
	void shake(random &r)
	{
		std::this_thread::sleep_for(std::chrono::microseconds(r() % 400));
		switch (r() % 8) {
		case 0:
			proc->fork();
			break;
		case 1:
		case 2:
		case 3:
			proc->swap_out(kept(r));
			break;
		case 4:
			proc->migrate(kept(r));
			break;
		case 5: {
			u64 va = kept(r);

			proc->mprotect(va, va + PAGE, PROT_R);
			proc->mprotect(va, va + PAGE, PROT_RW);
			break;
		}
		case 6:
			proc->collapse(KEPT_THP);
			break;
		case 7: {
			u64 v;

			proc->read(churned(r), &v);
			break;
		}
		}
	}

	u64 sum()
	{
		u64 total = 0, v = 0;

		for (u64 va = KEPT; va < KEPT_THP + KEPT_THP_SIZE; va += PAGE) {
			EXPECT_EQ(proc->read(va, &v), 0);
			total += v;
		}
		return total;
	}

	void map_all()
	{
		map(CHURN, CHURN_SIZE);
		map(CHURN_THP, CHURN_THP_SIZE, PROT_RW, true);
		map(KEPT, KEPT_SIZE);
		map(KEPT_THP, KEPT_THP_SIZE, PROT_RW, true);
	}

	std::atomic<u64> added{0};
};

TEST_F(stress_test, churn_beside_kept_memory)
{
	map_all();
	ASSERT_EQ(svm_bind_all(vm), 0);
	run({
		[&](random &r) { use(r); },
		[&](random &r) { use(r); },
		[&](random &r) { add_once(r); },
		[&](random &r) { cpu_add(r); },
		[&](random &r) { churn(r); },
		[&](random &) {
			shrink(4);
			std::this_thread::sleep_for(std::chrono::microseconds(300));
		},
	});
	EXPECT_EQ(sum(), added);
}

TEST_F(stress_test, nothing_is_lost)
{
	map_all();
	ASSERT_EQ(svm_bind_all(vm), 0);
	run({
		[&](random &r) { add_once(r); },
		[&](random &r) { add_once(r); },
		[&](random &r) { cpu_add(r); },
		[&](random &r) { shake(r); },
		[&](random &r) { shake(r); },
	});
	EXPECT_EQ(sum(), added);
}

/* Windows of 2 MiB come and go under the device's accesses; intervals of one table. */
TEST_F(stress_test, windows_come_and_go)
{
	destroy();
	ASSERT_EQ(create(21), 0);
	map_all();

	auto window = [&](random &r, u64 at) {
		u64 pages = 0;

		if (svm_bind(vm, at, at + 2 * MiB, 0) != 0)
			complain("bind failed");
		svm_prefetch(vm, at, at + 2 * MiB, SVM_WRITE, &pages);
		std::this_thread::sleep_for(std::chrono::microseconds(r() % 2000));
		if (svm_unbind(vm, at, at + 2 * MiB) != 0)
			complain("unbind failed");
		for (u64 va = at; va < at + 2 * MiB; va += 16 * PAGE)
			if (device().read(va).what == gpu::status::ok)
				complain("an access through an unbound window");
	};

	run({
		[&](random &r) { use(r); },
		[&](random &r) { use(r); },
		[&](random &r) { churn(r); },
		[&](random &r) { window(r, CHURN); },
		[&](random &r) { window(r, CHURN + 2 * MiB); },
		[&](random &r) { window(r, CHURN_THP); },
		[&](random &) {
			shrink(2);
			std::this_thread::sleep_for(std::chrono::microseconds(500));
		},
	});
}

/* Every allocation of the core enters the shrinker, and some fail. */
TEST_F(stress_test, reclaim_inside_allocation)
{
	map_all();
	ASSERT_EQ(svm_bind_all(vm), 0);
	reclaim_on_alloc(true);
	run({
		[&](random &r) { use(r); },
		[&](random &r) { use(r); },
		[&](random &r) { churn(r); },
		[&](random &) {
			shrink(100);
			std::this_thread::sleep_for(std::chrono::microseconds(100));
		},
	});
}

} // namespace svm_test
