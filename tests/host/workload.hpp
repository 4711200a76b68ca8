/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A load for the simulated machine: what processes, the kernel and a device do to memory that
 * is mirrored, in scenarios of several threads. The same code runs on real threads (the stress
 * tests, also under ThreadSanitizer), on the seeded scheduler, and on a fuzzer's bytes.
 *
 * What must hold is watched by the machine (see gpu::check and memory) and here:
 *  - churned memory is unmapped, discarded, protected; each page holds zero or a word that was
 *    written at its own address;
 *  - kept memory is changed in place only (swap, migration, fork, THP, protection): what CPU
 *    and device added to it is there in the end, to the last one;
 *  - two tables of device addresses are rebound, page by page: to a hole, to null, to memory of their own that is churned, to
 *    kept and churned memory at other offsets, to buffers of the driver's that move. No access goes by a binding that was replaced,
 *    see bound; what the device added to buffers is there in the end, too.
 */
#ifndef SVM_TESTS_HOST_WORKLOAD_HPP
#define SVM_TESTS_HOST_WORKLOAD_HPP

#include "tests/host/bound.hpp"
#include "tests/host/machine.hpp"

#include <functional>
#include <string>
#include <vector>

namespace svm_host
{

class workload
{
public:
	/* Where decisions come from: a seed, or a fuzzer's bytes. */
	using random = std::function<u64()>;
	using action = void (workload::*)(random &);

	struct scenario {
		std::string name;
		std::vector<action> threads; /* what each does again and again */
		u32 interval_lg2 = 0;
		u64 shift = 0; /* device addresses are so much higher than the CPU's */
		bool all = true; /* one window for everything; else the threads bind theirs */
		bool kept_survives = true;
		u64 tables = ~0ull; /* page tables that there is memory for, directories among them */
		std::vector<int> errors{}; /* allowed for the device, besides those that churned memory brings */
	};
	static const std::vector<scenario> &scenarios();
	static const scenario *find(const std::string &name);

	workload(machine &m, const scenario &s)
		: m_(m)
		, s_(s)
	{
	}
	~workload()
	{
		if (m_.gpus)
			m_.device().set_offset(s_.shift);
	}
	workload(const workload &) = delete;

	/* A vm, mappings, windows. */
	void prepare();
	/* Each thread's action until stop(), with a source of its own; then the sums. */
	void run(const std::function<bool()> &stop, const std::function<random(size_t thread)> &source);

	/* ---- the actions ---- */
	void use(random &r);
	void use_file(random &r);
	void use_sparse(random &r);
	void use_new(random &r);
	void add_by_device(random &r);
	void add_by_cpu(random &r);
	void churn(random &r);
	void shake(random &r);
	void shrink_some(random &r);
	void lend_some(random &r);
	void come_and_go(random &r);
	void prefetch_some(random &r);
	void truncate_some(random &r);
	void empty_some(random &r);
	void empty_new(random &r);
	void fail_some(random &r);
	void exit_some_time(random &r);
	/* of workload_bind.cpp */
	void rebind(random &r); /* to anything */
	void rebind_mirrors(random &r); /* to mirrors only: each address leads to some page of the CPU's */
	void use_rebound(random &r);
	void prefetch_rebound(random &r);
	void churn_rebound(random &r);
	void move_some(random &r);

	/* Where the device may have translations, as device addresses. */
	static constexpr u64 ARENA = BASE, ARENA_SIZE = 40 * MiB;
	/* With the memory in which tables are made again and again, which lies beyond. */
	static constexpr u64 ALL_SIZE = 512 * MiB;
	/* For the oracle, too. */
	const bound &bindings() const
	{
		return bound_;
	}

private:
	static constexpr u64 CHURN = BASE, CHURN_SIZE = 4 * MiB;
	static constexpr u64 CHURN_THP = BASE + 4 * MiB, CHURN_THP_SIZE = 2 * MiB;
	static constexpr u64 KEPT = BASE + 8 * MiB, KEPT_SIZE = 2 * MiB;
	static constexpr u64 KEPT_THP = BASE + 10 * MiB, KEPT_THP_SIZE = 2 * MiB;
	static constexpr u64 OBJECT = BASE + 12 * MiB, OBJECT_SIZE = 128 * PAGE;
	/* A few pages in each of many tables. */
	static constexpr u64 SPARSE = BASE + 16 * MiB, SPARSE_TABLES = 4, SPARSE_PAGES = 4;

	/* Device addresses that are rebound, and what they mirror in the beginning. */
	static constexpr u64 REBOUND = BASE + 24 * MiB;

	/* One table after the other is the new one. */
	static constexpr u64 NEW = BASE + 64 * MiB, NEW_TABLES = 192;

	u64 page_in(random &r, u64 start, u64 size);
	u64 new_page(random &r);
	u64 churned(random &r);
	u64 kept(random &r);
	u64 to_device(u64 va) const
	{
		return va + s_.shift;
	}
	void use_at(random &r, u64 va);
	void check_word(u64 va, u64 value);
	void check_error(const char *what, int err);
	bool allowed(int err) const;
	u64 sum();
	struct lender {
		std::unique_ptr<buffer> memory;
		mutex moving; /* one thread at a time */
	};
	int bring(lender &l);
	void prepare_rebound();
	void end_lending();
	u64 rebound(random &r);
	std::vector<bound::part> some_parts(random &r, unsigned first_kind);
	void rebind_parts(random &r, unsigned first_kind);

	machine &m_;
	const scenario &s_;
	std::atomic<u64> added_{0};
	std::atomic<u64> lent_added_{0}; /* to buffers */
	std::atomic<u64> newest_{0}; /* how many tables were new so far */
	std::atomic<u64> windows_{0}; /* for come_and_go(): which of the threads is which */
	std::array<lender, bound::LENDERS> lent_;
	bound bound_;
	mutex rebinding_; /* one thread at a time changes bound_ */
};

} // namespace svm_host

#endif
