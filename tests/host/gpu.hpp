/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device that uses a vm: it walks the real tables, and forgets nothing unless it is told.
 *
 * It keeps each translation and each pointer to a lower table from the first walk on. An
 * access uses the highest pointer-free short cut it has, so a table that was freed without
 * a flush is walked through the stale pointer, and a page through its stale translation.
 * Both are complaints: of a freed table by the backend, of a freed, foreign or shared page
 * here. invalidate() returns when no access that began before it is under way.
 *
 * A translation that denies an access makes a fault; it is not looked up again.
 */
#ifndef SVM_TESTS_HOST_GPU_HPP
#define SVM_TESTS_HOST_GPU_HPP

#include "tests/host/frames.hpp"
#include "tests/host/rwsem.hpp"
#include "tests/host/walker.hpp"
#include "tools/svgpud/mmu/mmu.h"

#include <map>
#include <svm/svm.h>

namespace svm_host
{

class gpu
{
public:
	enum class status { ok, fault, bad, stopped };

	struct answer {
		status what = status::fault;
		u64 value = 0; /* read, or what was there before */
		u32 frame = NO_FRAME;
		u64 home = 0; /* the CPU's address that the page was made for; 0: none */
	};

	gpu(memory &mem, read_entry read)
		: mem_(mem)
		, read_(std::move(read))
	{
	}

	void set_root(u64 addr, bool vram)
	{
		root_ = addr;
		root_vram_ = vram;
	}
	/* Whether a page of the device's may lead to that one of the CPU's now: asked amid each access. */
	using rule = std::function<bool(u64 va, u64 cpu)>;
	static constexpr u64 some_page = 0; /* for which: any of the CPU's, since it has no home */
	static constexpr u64 null = ~0ull; /* likewise: the null binding */

	void set_rule(rule leads)
	{
		leads_ = std::move(leads);
	}
	/* A device address mirrors the CPU address that is its binding's offset lower. */
	void set_offsets(std::function<u64(u64 va)> of)
	{
		leads_ = [of = std::move(of)](u64 va, u64 cpu) { return cpu == some_page || cpu == null || cpu == va - of(va); };
	}
	/* The same one everywhere. */
	void set_offset(u64 offset)
	{
		set_offsets([=](u64) { return offset; });
	}

	answer read(u64 va);
	answer write(u64 va, u64 value);
	answer add(u64 va, u64 n);

	void invalidate(u64 start, u64 end);

	/* Between the two each access is answered `stopped`; stop() returns when none that began before is under way. */
	void stop();
	void resume();

	/* Walks as that device does, and not as Xe2 does. It then keeps no pointers to tables. */
	void set_mmu(const mmu &m)
	{
		mmu_ = &m;
	}

	/* What the tables say now, past the TLB. */
	translation look(u64 va) const;
	/* Whether they allow an access. If they do and the device faulted, its TLB has an older translation. */
	bool allows(u64 va, svm_access how);
	/* Whether it holds a translation for va. */
	bool caches(u64 va);
	/* The same, and which; takes no lock: for an oracle, while nobody else runs. */
	const translation *cached(u64 va) const;
	u64 walks() const
	{
		return walks_.load(std::memory_order_relaxed);
	}

private:
	struct pointer {
		u64 addr;
		bool vram;
	};

	template <typename Fn>
	answer access(u64 va, svm_access how, Fn fn);
	translation translate(u64 va);
	u64 check(u64 va, svm_access how, u32 frame);

	memory &mem_;
	read_entry read_;
	const mmu *mmu_ = nullptr;
	u64 root_ = 0;
	bool root_vram_ = false;
	bool stopped_ = false; /* written with the gate shut */
	rule leads_ = [](u64 va, u64 cpu) { return cpu == some_page || cpu == null || cpu == va; };
	rwsem gate_; /* shared: an access from its translation to its end */
	mutex tlb_lock_;
	static constexpr unsigned sizes = 20;
	std::map<u64, translation> tlb_[sizes]; /* by start; of 4 KiB, 8 KiB, … */
	u32 used_ = 0; /* which of them have held some */
	std::map<u64, pointer> pointers_[3]; /* by va >> shift; shift 39, 30, 21 */
	std::atomic<u64> walks_{0};
};

} // namespace svm_host

#endif
