// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel itself does to an mm: swap, khugepaged, the OOM reaper, truncation,
 * migration. Except for collapse, none of it takes mmap_lock for writing.
 */
#include "tests/host/check.hpp"
#include "tests/host/mm.hpp"

#include <cerrno>
#include <vector>

namespace svm_host
{

file::~file()
{
	for (auto [index, f] : pages_)
		mem_.put(f);
}

u32 file::page(u64 index)
{
	std::lock_guard hold(lock_);
	auto it = pages_.find(index);

	if (it == pages_.end()) {
		u32 f = mem_.take(0);

		if (f == NO_FRAME)
			return f;
		it = pages_.emplace(index, f).first;
	}
	mem_.get(it->second); /* under the lock: once it is free, drop() may take the file's */
	return it->second;
}

void file::drop(u64 index)
{
	std::lock_guard hold(lock_);
	auto it = pages_.find(index);

	if (it == pages_.end())
		return;
	mem_.put(it->second);
	pages_.erase(it);
}

/* Writes the page to swap if it is dirty. A clean page with a copy in swap is just dropped: what was written without dirtying it is lost. */
void address_space::swap_out(u64 va)
{
	u64 page = va / PAGE;
	u32 gone = NO_FRAME;

	if (snapshot_block(va))
		split(va);
	subs_.during({page * PAGE, page * PAGE + PAGE}, [&] {
		std::lock_guard hold(ptl_);
		auto it = pages_.find(page);

		if (it == pages_.end() || it->second.lent || it->second.alone || mem_.is_zero(it->second.frame))
			return;

		frame &p = mem_.at(it->second.frame);

		/* A shared page has other users' dirt to lose, and a file's page goes to its file. */
		if (p.refs.load(std::memory_order_acquire) != 1)
			return;
		gone = it->second.frame;
		if (p.dirty.load(std::memory_order_relaxed) || !swap_.count(page))
			swap_[page] =
				p.dirty.load(std::memory_order_relaxed) ? p.value.load(std::memory_order_relaxed) : 0;
		pages_.erase(it);
	});
	if (gone != NO_FRAME)
		mem_.put(gone);
}

/* khugepaged: copies 512 writable anonymous pages of one VMA into a block. */
void address_space::collapse(u64 va)
{
	u64 base = va & ~(BLOCK - 1);
	std::vector<u32> gone;

	mmap_lock_.lock();

	const vma *v = find(base);

	if (v && v->kind == backing::anon && v->end >= base + BLOCK)
		subs_.during({base, base + BLOCK}, [&] {
			std::lock_guard hold(ptl_);

			for (u64 p = base / PAGE; p < (base + BLOCK) / PAGE; p++) {
				auto it = pages_.find(p);

				if (it == pages_.end() || !it->second.write || it->second.lent || it->second.alone)
					return;
			}

			u32 head = mem_.take_block(base);

			if (head == NO_FRAME)
				return;
			for (u32 i = 0; i < BLOCK_FRAMES; i++) {
				auto it = pages_.find(base / PAGE + i);
				frame &from = mem_.at(it->second.frame);

				mem_.at(head + i).value.store(from.value.load(std::memory_order_relaxed),
							      std::memory_order_relaxed);
				mem_.at(head + i).dirty.store(true, std::memory_order_relaxed);
				gone.push_back(it->second.frame);
				pages_.erase(it);
				swap_.erase(base / PAGE + i);
			}
			blocks_[va / BLOCK] = {head, true};
		});
	mmap_lock_.unlock();
	for (u32 f : gone)
		mem_.put(f);
}

/* The OOM reaper: its notifications must not sleep. */
void address_space::oom_reap(u64 start, u64 end)
{
	std::vector<u32> gone;

	mmap_lock_.lock_shared();
	subs_.during({start, end, false}, [&] {
		std::lock_guard hold(ptl_);

		std::erase_if(pages_, [&](const auto &p) {
			bool hit = p.first * PAGE >= start && p.first * PAGE < end;

			if (hit)
				gone.push_back(p.second.frame);
			return hit;
		});
	});
	mmap_lock_.unlock_shared();
	for (u32 f : gone)
		mem_.put(f);
}

void address_space::truncate(u64 va)
{
	mmap_lock_.lock_shared();

	const vma *v = find(va);

	if (v && v->object) {
		u64 page = va & ~(PAGE - 1);

		zap(page, page + PAGE);
		v->object->drop(v->first_page + (page - v->start) / PAGE);
	}
	mmap_lock_.unlock_shared();
}

/* To another frame, of VRAM or not, where the page is in VRAM by now (`lent`) or not. The entry keeps its right to write. */
bool address_space::move(u64 va, bool lent, bool vram)
{
	u64 page = va / PAGE;
	u32 to = mem_.take(page * PAGE, vram);
	u32 gone = to;

	if (to == NO_FRAME)
		return false;
	if (snapshot_block(va))
		split(va);
	subs_.during({page * PAGE, page * PAGE + PAGE}, [&] {
		std::lock_guard hold(ptl_);
		auto it = pages_.find(page);

		if (it == pages_.end() || it->second.lent != lent || it->second.alone || mem_.is_zero(it->second.frame))
			return;

		frame &from = mem_.at(it->second.frame);

		/* A process that shares a page of VRAM by fork keeps it there. */
		if (!lent && from.refs.load(std::memory_order_acquire) != 1)
			return;
		mem_.at(to).value.store(from.value.load(std::memory_order_relaxed), std::memory_order_relaxed);
		mem_.at(to).dirty.store(!vram, std::memory_order_relaxed);
		gone = it->second.frame;
		it->second.frame = to;
		it->second.lent = vram;
	});
	mem_.put(gone);
	return gone != to;
}

void address_space::migrate(u64 va)
{
	move(va, false, false);
}

/* As migrate_vma does: a page goes that only this process has. */
bool address_space::lend(u64 va)
{
	return move(va, false, true);
}

/* As the pagemap's migrate_to_ram. */
bool address_space::move_home(u64 va)
{
	return move(va, true, false);
}

bool address_space::take_home(u64 va)
{
	mmap_lock_.lock_shared();

	bool moved = move_home(va);

	mmap_lock_.unlock_shared();
	return moved;
}

int address_space::supply(u64 va, u64 value)
{
	u64 page = va / PAGE;
	u32 f = mem_.take(page * PAGE);
	u32 gone = f;

	if (f == NO_FRAME)
		return -ENOMEM;
	mem_.at(f).value.store(value, std::memory_order_relaxed);
	mem_.at(f).dirty.store(true, std::memory_order_relaxed);
	mmap_lock_.lock_shared();

	const vma *v = find(va);

	if (v && v->managed) { /* filling a hole notifies nobody */
		std::lock_guard hold(ptl_);

		if (!lookup(va)) {
			pages_[page] = {f, (v->prot & PROT_W) != 0};
			gone = NO_FRAME;
		}
	}
	mmap_lock_.unlock_shared();
	if (gone != NO_FRAME)
		mem_.put(gone);
	return gone == NO_FRAME ? 0 : -EEXIST;
}

int address_space::fault_in_unlocked(u64 va, bool write, bool user, const std::function<bool()> &stop)
{
	for (bool counted = false;;) {
		mmap_lock_.lock_shared();

		const vma *v = find(va);
		bool unread = v && v->slow && storage_silent;
		int err = unread ? -EINPROGRESS : fault_in(va, write, true);

		mmap_lock_.unlock_shared();
		if (err == -EINPROGRESS && !user && !unread)
			err = -EFAULT;
		else if (err == -EINPROGRESS && stop())
			err = -EINTR;
		if (err != -EINPROGRESS) {
			waiting -= counted;
			return err;
		}
		waiting += !counted;
		counted = true;
		sleep_for(std::chrono::milliseconds(1));
	}
}

} // namespace svm_host
