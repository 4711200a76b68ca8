// SPDX-License-Identifier: GPL-2.0-only
/* The device. See gpu.hpp. */
#include "tests/host/gpu.hpp"

#include "tests/host/check.hpp"

#include <cstdio>
#include <optional>
#include <shared_mutex>

namespace svm_host
{

static constexpr unsigned pointer_lg2[3] = {39, 30, 21};

static std::string at(u64 va)
{
	char b[24];

	std::snprintf(b, sizeof(b), " at %llx", va);
	return b;
}

static u64 read_word(void *context, u64 addr, u32 aperture)
{
	return (*static_cast<read_entry *>(context))(addr, aperture == MMU_VRAM, 0);
}

translation gpu::look(u64 va) const
{
	if (mmu_) {
		read_entry read = read_;
		mmu_memory memory = {read_word, &read, nullptr};
		mmu_translation found{};
		translation t;

		mmu_->walk(&memory, root_, root_vram_ ? MMU_VRAM : MMU_SYSTEM, va, &found);
		t.what = found.what == MMU_MAPPED ? translation::outcome::mapped :
			 found.what == MMU_ABSENT ? translation::outcome::absent :
						    translation::outcome::bad;
		t.start = va >> found.lg2 << found.lg2;
		t.addr = found.address;
		t.lg2 = found.lg2;
		t.write = found.write;
		t.atomic = found.atomic;
		t.null = found.null;
		t.vram = found.aperture == MMU_VRAM;
		t.depth = found.entries;
		return t;
	}
	return walk_xe2(va, root_, root_vram_, 39, read_);
}

static bool grants(const translation &t, svm_access how)
{
	return t.what == translation::outcome::mapped && (how == SVM_READ || t.write) && (how != SVM_ATOMIC || t.atomic);
}

/* The gate keeps the tables from being freed, as it does for an access. */
bool gpu::allows(u64 va, svm_access how)
{
	std::shared_lock hold(gate_);

	return grants(look(va), how);
}

const translation *gpu::cached(u64 va) const
{
	for (unsigned i = 0; used_ >> i; i++)
		if (auto it = tlb_[i].find(va >> (12 + i) << (12 + i)); used_ >> i & 1 && it != tlb_[i].end())
			return &it->second;
	return nullptr;
}

bool gpu::caches(u64 va)
{
	std::lock_guard hold(tlb_lock_);

	return cached(va);
}

/* From the TLB; else a walk from the lowest table it still has a pointer to. */
translation gpu::translate(u64 va)
{
	pointer from{root_, root_vram_};
	unsigned shift = 39;
	{
		std::lock_guard hold(tlb_lock_);

		if (const translation *t = cached(va))
			return *t;
		for (unsigned i = 3; i-- > 0;)
			if (auto it = pointers_[i].find(va >> pointer_lg2[i]); it != pointers_[i].end()) {
				from = it->second;
				shift = pointer_lg2[i] - 9;
				break;
			}
	}
	walks_.fetch_add(1, std::memory_order_relaxed);

	auto note = [this](unsigned below, u64 of, u64 addr, bool vram) {
		std::lock_guard hold(tlb_lock_);

		for (unsigned i = 0; i < 3; i++)
			if (pointer_lg2[i] == below)
				pointers_[i][of >> below] = {addr, vram};
	};
	translation t = mmu_ ? look(va) : walk_xe2(va, from.addr, from.vram, shift, read_, note);

	if (t.what == translation::outcome::mapped) {
		std::lock_guard hold(tlb_lock_);

		used_ |= 1u << (t.lg2 - 12);
		tlb_[t.lg2 - 12][t.start] = t;
	}
	return t;
}

/* The rules that no interleaving excuses: the CPU frees or shares a page only after it was told that we forgot it. The page's home. */
u64 gpu::check(u64 va, svm_access how, u32 f)
{
	if (!mem_.used(f)) {
		complain("the device reaches a freed page" + at(va));
		return 0;
	}

	u64 home = mem_.at(f).home.load(std::memory_order_relaxed);

	if (!leads_(va & ~0xfffull, home))
		complain("the device reaches another address's page" + at(va));
	if (how != SVM_READ && mem_.is_zero(f))
		complain("the device writes the zero page" + at(va));
	if (how != SVM_READ && mem_.at(f).cow.load(std::memory_order_relaxed))
		complain("the device writes a page shared by fork" + at(va));
	return home;
}

template <typename Fn>
gpu::answer gpu::access(u64 va, svm_access how, Fn fn)
{
	answer a;

	gate_.lock_shared();
	if (stopped_) {
		gate_.unlock_shared();
		a.what = status::stopped;
		return a;
	}

	translation t = translate(va);
	if (t.what == translation::outcome::bad) {
		complain("a malformed entry" + at(va));
		a.what = status::bad;
	} else if (grants(t, how) && t.null) {
		std::atomic<u64> nothing{0};

		if (!leads_(va & ~0xfffull, null))
			complain("the device goes by null where something else is bound" + at(va));
		a.what = status::ok;
		a.value = fn(nothing);
	} else if (grants(t, how)) {
		a.frame = mem_.of_dma(t.addr + (va & ((1ull << t.lg2) - 1) & ~0xfffull));
		a.what = a.frame == NO_FRAME || t.vram != mem_.at(a.frame).vram.load(std::memory_order_relaxed) ? status::bad : status::ok;
		if (a.what == status::ok) {
			a.home = check(va, how, a.frame);
			a.value = fn(mem_.at(a.frame).value);
		} else {
			complain("an entry leads outside memory" + at(va));
		}
	}
	gate_.unlock_shared();
	return a;
}

gpu::answer gpu::read(u64 va)
{
	return access(va, SVM_READ, [](auto &word) { return word.load(std::memory_order_relaxed); });
}

gpu::answer gpu::write(u64 va, u64 value)
{
	return access(va, SVM_WRITE, [=](auto &word) { return word.exchange(value, std::memory_order_relaxed); });
}

gpu::answer gpu::add(u64 va, u64 n)
{
	return access(va, SVM_ATOMIC, [=](auto &word) { return word.fetch_add(n, std::memory_order_relaxed); });
}

/* Drops what meets [start, end) among pieces of 2^lg2 bytes. */
template <typename Map>
static void drop(Map &map, u64 start, u64 end, unsigned lg2, unsigned key_lg2)
{
	auto it = map.lower_bound(start >> lg2 << (lg2 - key_lg2));

	while (it != map.end() && it->first << key_lg2 < end)
		it = map.erase(it);
}

void gpu::stop()
{
	gate_.lock();
	stopped_ = true;
	gate_.unlock();
}

void gpu::resume()
{
	gate_.lock();
	stopped_ = false;
	gate_.unlock();
}

void gpu::invalidate(u64 start, u64 end)
{
	gate_.lock();
	{
		std::lock_guard hold(tlb_lock_);

		for (unsigned i = 0; i < sizes; i++)
			drop(tlb_[i], start, end, 12 + i, 0);
		for (unsigned i = 0; i < 3; i++)
			drop(pointers_[i], start, end, pointer_lg2[i], pointer_lg2[i]);
	}
	gate_.unlock();
}

} // namespace svm_host
