/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A simulated address space, as far as a mirror can tell it from a real one: VMAs, CPU page
 * table entries with reference counts, copy-on-write, swap, THP, and each change announced
 * to the interval notifiers before it happens.
 *
 * Locks, outermost first: mmap_lock (VMAs) -> notifier callbacks -> ptl (CPU entries).
 * No callback is made under ptl. A frame is put only after its entry is gone, and its entry
 * goes only between start and end of an invalidation that covers it.
 *
 * Memory is modelled as one word a page: read() and write() work on it.
 */
#ifndef SVM_TESTS_HOST_MM_HPP
#define SVM_TESTS_HOST_MM_HPP

#include "tests/host/frames.hpp"
#include "tests/host/notifier.hpp"
#include "tests/host/rwsem.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

namespace svm_host
{

constexpr u64 PAGE = 4096;
constexpr u64 BLOCK = 1ull << BLOCK_LG2;
constexpr u64 USER_END = 0x7ffffffff000ull;

constexpr unsigned PROT_N = 0, PROT_R = 1, PROT_W = 2, PROT_RW = 3;

/* A page cache: one frame per page, alive as long as the file. */
class file
{
public:
	explicit file(memory &mem)
		: mem_(mem)
	{
	}
	~file();
	/* The page's frame, made at need, with a reference for the caller beside the file's; NO_FRAME when memory is out. */
	u32 page(u64 index);
	/* Takes the page out; the frame goes when the last mapping does. */
	void drop(u64 index);

private:
	memory &mem_;
	mutex lock_;
	std::unordered_map<u64, u32> pages_;
};

enum class backing { anon, shared, priv, pfnmap };

struct vma {
	u64 start = 0;
	u64 end = 0;
	unsigned prot = PROT_RW;
	backing kind = backing::anon;
	bool thp = false;
	bool managed = false; /* missing pages come by supply() alone, as under a userfaultfd */
	bool slow = false; /* missing pages have to be waited for, as those of a file that is not in memory */
	std::shared_ptr<file> object;
	u64 first_page = 0; /* of object, at start */
};

/* A CPU entry: of a page, or of a block (then `frame` is its head). */
struct entry {
	u32 frame = NO_FRAME;
	bool write = false;
	bool lent = false; /* the page is in the device's memory; never a block's */
	bool alone = false; /* a device has taken it away from the CPU; never a block's */
};

class address_space
{
public:
	explicit address_space(memory &mem);
	~address_space();
	address_space(const address_space &) = delete;

	/* ---- what a process does; 0 or negative errno ---- */
	int mmap(const vma &v);
	int munmap(u64 start, u64 end);
	int mprotect(u64 start, u64 end, unsigned prot);
	int dontneed(u64 start, u64 end);
	int read(u64 va, u64 *value);
	int write(u64 va, u64 value);
	int add(u64 va, u64 n);
	std::unique_ptr<struct child> fork();
	/* Drops the process's own use of the mm; the last user tears it down. */
	void exit();

	/* What a userfaultfd's manager does: the page is there now. */
	int supply(u64 va, u64 value);

	/* ---- what the kernel does to it ---- */
	void swap_out(u64 va);
	void collapse(u64 va);
	void oom_reap(u64 start, u64 end);
	void truncate(u64 va); /* the page of the file mapped at va */
	void migrate(u64 va); /* same data, another frame */
	/* The page goes to the device's memory, or comes home. True: it did. mmap_lock is not held. */
	bool lend(u64 va);
	bool take_home(u64 va);

	/* ---- what a fault needs ---- */
	bool get_user(); /* mmget_not_zero */
	void put_user();
	/* As mmput_async: a teardown by the last user runs on a thread of its own, so that its callbacks do not run under the caller. */
	void put_user_async();
	subscriptions &notifiers()
	{
		return subs_;
	}
	memory &mem()
	{
		return mem_;
	}
	rwsem &mmap_lock()
	{
		return mmap_lock_;
	}
	/* mmap_lock held. nullptr: hole. Valid while it is held. */
	const vma *find(u64 va) const;
	/* Likewise: the first one that ends above va, allows all of prot and is no PFN map. */
	const vma *next(u64 va, unsigned prot) const;
	/*
	 * mmap_lock held: make the page present for the access. -EINPROGRESS: it is for the manager to supply, or slow. device: it may
	 * be in the device's memory.
	 */
	int fault_in(u64 va, bool write, bool wait = false, bool device = false);
	/* Nothing held: the same, also by waiting for the manager if `user`. stop() ends it with -EINTR. */
	int fault_in_unlocked(u64 va, bool write, bool user, const std::function<bool()> &stop);
	/* Threads that wait for the manager, or for silent storage, now. */
	std::atomic<unsigned> waiting{0};
	/* Slow pages do not come at all. */
	std::atomic<bool> storage_silent{false};
	/* mmap_lock held: take the page away from the CPU, for a domain, as make_device_exclusive() does. -EBUSY, -EOPNOTSUPP. */
	int take_alone(u64 va, const void *domain, entry &was);
	/* mmap_lock held. The entry as it is, as a page's; nullopt: not in v, not present, a device's alone, or v lets nobody read. */
	std::optional<entry> snapshot(const vma *v, u64 va);
	/* The CPU's entry that maps va, as a page's. Takes no lock: for an oracle, while nobody else runs. */
	std::optional<entry> peek(u64 va) const;
	/* mmap_lock held. The block entry that maps va, if one does. */
	std::optional<entry> snapshot_block(u64 va);

private:
	friend struct child;

	template <typename Fn>
	int access(u64 va, bool write, Fn fn);
	entry *lookup(u64 va);
	int fault_missing(const vma &v, u64 va, bool write, bool wait);
	int fault_block(const vma &v, u64 va, bool write);
	int fault_cow(const vma &v, u64 va);
	int cow_page(u64 va);
	bool move(u64 va, bool lent, bool vram);
	bool move_home(u64 va);
	void give_back(u64 va);
	int cow_block(u64 va);
	void split(u64 va);
	void split_at(u64 va);
	void zap(u64 start, u64 end);
	void cut(u64 at);
	void teardown();

	memory &mem_;
	subscriptions subs_;
	rwsem mmap_lock_;
	std::map<u64, vma> vmas_; /* by start */
	mutex ptl_;
	std::unordered_map<u64, entry> pages_; /* by va / PAGE */
	std::unordered_map<u64, entry> blocks_; /* by va / BLOCK */
	std::unordered_map<u64, u64> swap_; /* by va / PAGE: data; kept while swapped in and clean */
	std::atomic<unsigned> users_{1};
	thread teardown_;
};

/* What a forked child holds: a reference on each frame that was there. */
struct child {
	memory &mem;
	std::unordered_map<u64, u32> frames; /* by va / PAGE */

	explicit child(memory &m)
		: mem(m)
	{
	}
	child(const child &) = delete;
	~child();
	u64 read(u64 va) const;
};

} // namespace svm_host

/* The port's opaque mm: grabbed by domains, so that it outlives the process's use of it. */
struct mm_struct : svm_host::address_space {
	using address_space::address_space;
};

/* The device's memory: which frames are in it is known by the frames. */
struct svm_memory {};

/* The DMA device: what port_frees(), port_wait_frees() and port_evict_begin() keep of it. */
struct device {
	std::atomic<u64> frees{0};
	std::atomic<bool> evicting{false};
};

#endif
