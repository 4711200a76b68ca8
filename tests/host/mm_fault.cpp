// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of the simulated mm: missing pages, blocks, copy-on-write. mmap_lock is held for
 * reading throughout, so VMAs stay; entries may change whenever ptl is not held, and each
 * step looks again after it took ptl.
 */
#include "tests/host/check.hpp"
#include "tests/host/mm.hpp"

#include <cerrno>

namespace svm_host
{

const vma *address_space::find(u64 va) const
{
	auto it = vmas_.upper_bound(va);

	if (it == vmas_.begin())
		return nullptr;
	--it;
	return va < it->second.end ? &it->second : nullptr;
}

const vma *address_space::next(u64 va, unsigned prot) const
{
	for (const auto &[start, v] : vmas_)
		if (v.end > va && (v.prot & prot) == prot && v.kind != backing::pfnmap)
			return &v;
	return nullptr;
}

/* ptl held */
entry *address_space::lookup(u64 va)
{
	if (auto it = pages_.find(va / PAGE); it != pages_.end())
		return &it->second;
	if (auto it = blocks_.find(va / BLOCK); it != blocks_.end())
		return &it->second;
	return nullptr;
}

std::optional<entry> address_space::snapshot_block(u64 va)
{
	std::lock_guard hold(ptl_);
	auto it = blocks_.find(va / BLOCK);

	if (it == blocks_.end())
		return {};
	return it->second;
}

std::optional<entry> address_space::snapshot(const vma *v, u64 va)
{
	if (!v || va < v->start || va >= v->end || v->kind == backing::pfnmap || !(v->prot & PROT_R))
		return {};

	std::lock_guard hold(ptl_);

	if (const entry *e = lookup(va); e && e->alone)
		return {};
	return peek(va);
}

std::optional<entry> address_space::peek(u64 va) const
{
	if (auto it = pages_.find(va / PAGE); it != pages_.end())
		return it->second;
	if (auto it = blocks_.find(va / BLOCK); it != blocks_.end())
		return entry{it->second.frame + u32(va % BLOCK / PAGE), it->second.write};
	return {};
}

int address_space::fault_in(u64 va, bool write, bool wait, bool device)
{
	const vma *v = find(va);

	if (!v || v->kind == backing::pfnmap || !(v->prot & PROT_R))
		return -EFAULT;
	if (write && !(v->prot & PROT_W))
		return -EPERM;
	/* Each turn makes progress unless somebody else changed the entry in between. */
	for (int turn = 0; turn < 1000; turn++) {
		bool present, writable, lent, alone;
		{
			std::lock_guard hold(ptl_);
			entry *e = lookup(va);

			present = e;
			writable = e && e->write;
			lent = e && e->lent;
			alone = e && e->alone;
		}
		if (alone) {
			give_back(va);
			continue;
		}
		if (present && (!write || writable) && (!lent || device))
			return 0;
		if (lent) {
			move_home(va);
			continue;
		}

		int err = present ? fault_cow(*v, va) : fault_missing(*v, va, write, wait);

		if (err)
			return err;
	}
	return -EFAULT;
}

/* Installs a block where the VMA wants THP and nothing is there yet. 1: did not apply. */
int address_space::fault_block(const vma &v, u64 va, bool write)
{
	u64 base = va & ~(BLOCK - 1);

	if (!v.thp || v.managed || v.slow || v.kind != backing::anon || base < v.start || base + BLOCK > v.end)
		return 1;
	/* ptl held: pages of the block, also swapped out ones, rule a block out */
	for (u64 p = base / PAGE; p < (base + BLOCK) / PAGE; p++)
		if (pages_.count(p) || swap_.count(p))
			return 1;
	if (!write) {
		blocks_[va / BLOCK] = {mem_.zero_block(), false};
		return 0;
	}

	u32 head = mem_.take_block(base);

	if (head == NO_FRAME)
		return 1;
	blocks_[va / BLOCK] = {head, true};
	return 0;
}

int address_space::fault_missing(const vma &v, u64 va, bool write, bool wait)
{
	std::lock_guard hold(ptl_);
	u64 page = va / PAGE;

	if (lookup(va))
		return 0;
	if (int done = fault_block(v, va, write); done <= 0)
		return done;
	if (v.managed || (v.slow && !wait))
		return -EINPROGRESS;
	if (v.object) {
		u32 f = v.object->page(v.first_page + (va - v.start) / PAGE);

		if (f == NO_FRAME)
			return -ENOMEM;
		pages_[page] = {f, write && v.kind == backing::shared};
		return 0;
	}

	auto swapped = swap_.find(page);

	if (!write && swapped == swap_.end()) {
		pages_[page] = {mem_.zero(), false};
		return 0;
	}

	u32 f = mem_.take(page * PAGE);

	if (f == NO_FRAME)
		return -ENOMEM;
	if (swapped != swap_.end())
		mem_.at(f).value.store(swapped->second, std::memory_order_relaxed);
	pages_[page] = {f, (v.prot & PROT_W) != 0};
	return 0;
}

/* The entry is there but not writable, and the VMA is. */
int address_space::fault_cow(const vma &v, u64 va)
{
	bool block;
	{
		std::lock_guard hold(ptl_);
		entry *e = lookup(va);

		if (!e || e->write)
			return 0;
		block = !pages_.count(va / PAGE);
		if (v.kind == backing::shared) {
			e->write = true;
			return 0;
		}
		/* The only user may go on with it. */
		bool mine = v.kind == backing::anon && !mem_.is_zero(e->frame);

		for (u32 i = 0; mine && i < (block ? BLOCK_FRAMES : 1); i++)
			mine = mem_.at(e->frame + i).refs.load(std::memory_order_acquire) == 1;
		if (mine) {
			for (u32 i = 0; i < (block ? BLOCK_FRAMES : 1); i++)
				mem_.at(e->frame + i).cow.store(false, std::memory_order_relaxed);
			e->write = true;
			return 0;
		}
	}
	return block ? cow_block(va) : cow_page(va);
}

int address_space::cow_page(u64 va)
{
	u64 page = va / PAGE;
	u32 copy = mem_.take(page * PAGE);
	u32 old = NO_FRAME;

	if (copy == NO_FRAME)
		return -ENOMEM;
	subs_.during({page * PAGE, page * PAGE + PAGE}, [&] {
		std::lock_guard hold(ptl_);
		auto it = pages_.find(page);

		if (it == pages_.end() || it->second.write) {
			old = copy; /* somebody was here: give the copy back */
			return;
		}
		old = it->second.frame;
		mem_.at(copy).value.store(mem_.at(old).value.load(std::memory_order_relaxed),
					  std::memory_order_relaxed);
		mem_.at(copy).dirty.store(true, std::memory_order_relaxed);
		it->second = {copy, true};
	});
	mem_.put(old);
	return 0;
}

/* The huge zero page becomes a block of its own; a block shared by fork is split and goes page by page. */
int address_space::cow_block(u64 va)
{
	u64 base = va & ~(BLOCK - 1);
	u32 head = NO_FRAME;
	bool zero;
	{
		std::lock_guard hold(ptl_);
		auto it = blocks_.find(va / BLOCK);

		if (it == blocks_.end() || it->second.write)
			return 0;
		zero = mem_.is_zero(it->second.frame);
	}
	if (zero)
		head = mem_.take_block(base);
	if (head == NO_FRAME) {
		split(va);
		return 0;
	}

	bool used = false;

	subs_.during({base, base + BLOCK}, [&] {
		std::lock_guard hold(ptl_);
		auto it = blocks_.find(va / BLOCK);

		if (it != blocks_.end() && mem_.is_zero(it->second.frame)) {
			it->second = {head, true};
			used = true;
		}
	});
	for (u32 i = 0; !used && i < BLOCK_FRAMES; i++)
		mem_.put(head + i);
	return 0;
}

int address_space::take_alone(u64 va, const void *domain, entry &was)
{
	const vma *v = find(va);
	u64 page = va / PAGE;
	bool taken = false;

	if (!v || v->kind != backing::anon)
		return -EOPNOTSUPP;
	if (snapshot_block(va))
		split(va);
	subs_.during({.start = page * PAGE, .end = page * PAGE + PAGE, .by = domain}, [&] {
		std::lock_guard hold(ptl_);
		auto it = pages_.find(page);

		taken = it != pages_.end() && it->second.write && !it->second.lent && !it->second.alone;
		if (taken) {
			was = it->second;
			it->second.alone = true;
		}
	});
	return taken ? 0 : -EBUSY;
}

/* The CPU needs the page. */
void address_space::give_back(u64 va)
{
	u64 page = va / PAGE;

	subs_.during({page * PAGE, page * PAGE + PAGE}, [&] {
		std::lock_guard hold(ptl_);
		auto it = pages_.find(page);

		if (it != pages_.end())
			it->second.alone = false;
	});
}

template <typename Fn>
int address_space::access(u64 va, bool write, Fn fn)
{
	for (int turn = 0; turn < 1000; turn++) {
		mmap_lock_.lock_shared();

		int err = fault_in(va, write, true);

		if (!err) {
			std::lock_guard hold(ptl_);
			entry *e = lookup(va);

			if (e && !e->lent && !e->alone && (!write || e->write)) {
				bool single = pages_.count(va / PAGE);
				frame &p = mem_.at(e->frame + (single ? 0 : u32(va % BLOCK / PAGE)));

				fn(p.value);
				if (write)
					p.dirty.store(true, std::memory_order_relaxed);
				mmap_lock_.unlock_shared();
				return 0;
			}
		}
		mmap_lock_.unlock_shared();
		if (err)
			return err;
	}
	return -EAGAIN;
}

int address_space::read(u64 va, u64 *value)
{
	return access(va, false, [&](auto &word) { *value = word.load(std::memory_order_relaxed); });
}

int address_space::write(u64 va, u64 value)
{
	return access(va, true, [&](auto &word) { word.store(value, std::memory_order_relaxed); });
}

int address_space::add(u64 va, u64 n)
{
	return access(va, true, [&](auto &word) { word.fetch_add(n, std::memory_order_relaxed); });
}

} // namespace svm_host
