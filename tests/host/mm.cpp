// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of the simulated mm: each announces its span, changes entries under ptl, ends the
 * invalidation and only then drops the frames' references. See mm.hpp.
 */
#include "tests/host/mm.hpp"

#include "tests/host/check.hpp"

#include <cerrno>
#include <vector>

namespace svm_host
{

address_space::address_space(memory &mem)
	: mem_(mem)
{
	live.mms++;
}

address_space::~address_space()
{
	if (teardown_.joinable())
		teardown_.join();
	if (users_.load(std::memory_order_acquire))
		complain("an mm is freed before its last user has left");
	live.mms--;
}

int address_space::mmap(const vma &v)
{
	if (v.start % PAGE || v.end % PAGE || v.start >= v.end || v.end > USER_END)
		return -EINVAL;
	mmap_lock_.lock();
	for (const auto &[start, old] : vmas_)
		if (old.start < v.end && old.end > v.start) {
			mmap_lock_.unlock();
			return -EEXIST;
		}
	vmas_[v.start] = v;
	mmap_lock_.unlock();
	return 0;
}

/* mmap_lock held for writing: no VMA crosses `at` any more. */
void address_space::cut(u64 at)
{
	auto it = vmas_.upper_bound(at);

	if (it == vmas_.begin())
		return;
	--it;

	vma &low = it->second;

	if (at <= low.start || at >= low.end)
		return;

	/* Core mm splits the THP at a new VMA boundary, and notifies the aligned block also where there is none. */
	u64 base = at & ~(BLOCK - 1);

	if (at != base && low.kind == backing::anon && base >= low.start && base + BLOCK <= low.end)
		split(at);

	vma high = low;

	high.start = at;
	high.first_page += (at - low.start) / PAGE;
	low.end = at;
	vmas_[at] = high;
}

/* A block entry becomes 512 page entries of the same frames. */
void address_space::split(u64 va)
{
	u64 base = va & ~(BLOCK - 1);

	subs_.during({base, base + BLOCK}, [&] {
		std::lock_guard hold(ptl_);
		auto it = blocks_.find(va / BLOCK);

		if (it == blocks_.end())
			return;
		for (u32 i = 0; i < BLOCK_FRAMES; i++) {
			bool zero = mem_.is_zero(it->second.frame);

			pages_[base / PAGE + i] = {zero ? mem_.zero() : it->second.frame + i, it->second.write};
		}
		blocks_.erase(it);
	});
}

/* For a change that begins or ends inside a block. */
void address_space::split_at(u64 va)
{
	if (va % BLOCK && snapshot_block(va))
		split(va);
}

/* Takes entries of [start, end) out and drops their frames. Blocks inside it go whole. */
void address_space::zap(u64 start, u64 end)
{
	std::vector<u32> gone;
	auto cuts = [this](u64 at) { return at % BLOCK && blocks_.contains(at / BLOCK); };

	subs_.during({start, end}, [&] {
		std::unique_lock hold(ptl_);

		/* A fault beside us may have made a block since split_at() looked. */
		while (cuts(start) || cuts(end)) {
			hold.unlock();
			split_at(start);
			split_at(end);
			hold.lock();
		}
		std::erase_if(pages_, [&](const auto &p) {
			bool hit = p.first * PAGE >= start && p.first * PAGE < end;

			if (hit)
				gone.push_back(p.second.frame);
			return hit;
		});
		std::erase_if(blocks_, [&](const auto &b) {
			bool hit = b.first * BLOCK >= start && b.first * BLOCK < end;

			for (u32 i = 0; hit && i < BLOCK_FRAMES; i++)
				gone.push_back(b.second.frame + i);
			return hit;
		});
		std::erase_if(swap_, [&](const auto &s) { return s.first * PAGE >= start && s.first * PAGE < end; });
	});
	for (u32 f : gone)
		mem_.put(f);
}

int address_space::munmap(u64 start, u64 end)
{
	if (start % PAGE || end % PAGE || start >= end)
		return -EINVAL;
	mmap_lock_.lock();
	cut(start);
	cut(end);
	zap(start, end);
	std::erase_if(vmas_, [&](const auto &v) { return v.second.start >= start && v.second.end <= end; });
	mmap_lock_.unlock();
	return 0;
}

int address_space::mprotect(u64 start, u64 end, unsigned prot)
{
	if (start % PAGE || end % PAGE || start >= end)
		return -EINVAL;
	mmap_lock_.lock();
	cut(start);
	cut(end);
	for (auto &[at, v] : vmas_)
		if (v.start >= start && v.end <= end)
			v.prot = prot;
	subs_.during({start, end}, [&] {
		std::lock_guard hold(ptl_);

		if (prot & PROT_W)
			return; /* a write fault will upgrade */
		for (auto &[page, e] : pages_)
			if (page * PAGE >= start && page * PAGE < end)
				e.write = false;
		for (auto &[block, e] : blocks_)
			if (block * BLOCK >= start && block * BLOCK < end)
				e.write = false;
	});
	mmap_lock_.unlock();
	return 0;
}

int address_space::dontneed(u64 start, u64 end)
{
	mmap_lock_.lock_shared();
	split_at(start);
	split_at(end);
	zap(start, end);
	mmap_lock_.unlock_shared();
	return 0;
}

std::unique_ptr<child> address_space::fork()
{
	auto c = std::make_unique<child>(mem_);

	mmap_lock_.lock();
	for (const auto &each : vmas_) {
		const vma &v = each.second;

		if (v.kind != backing::anon)
			continue;
		subs_.during({v.start, v.end, true, true}, [&] {
			std::lock_guard hold(ptl_);
			auto share = [&](u64 page, u32 f) {
				mem_.get(f);
				mem_.at(f).cow.store(true, std::memory_order_relaxed);
				c->frames[page] = f;
			};

			for (auto &[page, e] : pages_)
				if (page * PAGE >= v.start && page * PAGE < v.end) {
					e.write = e.alone = false;
					share(page, e.frame);
				}
			for (auto &[block, e] : blocks_)
				if (block * BLOCK >= v.start && block * BLOCK < v.end) {
					e.write = false;
					for (u32 i = 0; i < BLOCK_FRAMES; i++)
						share(block * BLOCK_FRAMES + i, e.frame + i);
				}
		});
	}
	mmap_lock_.unlock();
	return c;
}

bool address_space::get_user()
{
	unsigned n = users_.load(std::memory_order_relaxed);

	while (n && !users_.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel))
		;
	return n;
}

void address_space::put_user()
{
	if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1)
		teardown();
}

void address_space::put_user_async()
{
	if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1)
		teardown_ = thread([this] { teardown(); });
}

void address_space::exit()
{
	put_user();
}

/* As exit_mmap: RELEASE without mmap_lock, then everything is unmapped. */
void address_space::teardown()
{
	subs_.during({0, ~0ull}, [] {});
	mmap_lock_.lock();
	zap(0, ~0ull);
	vmas_.clear();
	mmap_lock_.unlock();
}

child::~child()
{
	for (auto [page, f] : frames)
		mem.put(f);
}

u64 child::read(u64 va) const
{
	auto it = frames.find(va / PAGE);

	return it == frames.end() ? 0 : mem.at(it->second).value.load(std::memory_order_relaxed);
}

} // namespace svm_host
