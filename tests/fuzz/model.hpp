/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the simulated process's memory must look like, kept in the plainest way: one record for
 * each page of the arena, changed by each operation as POSIX would have it. It knows no frames,
 * no device, no page tables; from it comes what every access must answer, by CPU or device.
 */
#ifndef SVM_TESTS_FUZZ_MODEL_HPP
#define SVM_TESTS_FUZZ_MODEL_HPP

#include "tests/fuzz/input.hpp"
#include "tests/host/mm.hpp"

#include <optional>
#include <vector>

namespace svm_fuzz
{

struct model_page {
	bool mapped = false;
	unsigned prot = 0;
	svm_host::backing kind = svm_host::backing::anon;
	bool managed = false; /* missing until the manager supplies it */
	bool missing = false;
	bool own = false; /* a private copy of the file's page */
	/* What it reads as; unknown after the OOM reaper was there, until somebody looks. */
	std::optional<u64> value = 0;
};

struct model_window {
	u64 start, end, offset;
};

class model
{
public:
	/* ---- what is to be answered: 0 or a negative errno; -EINPROGRESS: only the manager can tell ---- */
	int access(unsigned page, bool write) const;
	/* The same for a device address. */
	int device_access(u64 va, bool write) const;
	int bind(u64 start, u64 end, u64 offset) const;
	bool inside_windows(u64 start, u64 end) const;
	const model_window *window_at(u64 va) const;
	const model_window *window_of(u64 start, u64 end) const;
	bool any_mapped(range r) const;

	/* ---- what changes it ---- */
	void map(range r, unsigned prot, svm_host::backing kind, bool managed);
	void unmap(range r);
	void protect(range r, unsigned prot);
	void discard(range r); /* MADV_DONTNEED */
	void reap(range r);
	void truncate(unsigned page);
	void supply(unsigned page, u64 value);
	void write(unsigned page, u64 value);
	/* What a read saw: false if it should have seen something else. */
	bool saw(unsigned page, u64 value);
	void exit();

	std::optional<u64> value(unsigned page) const;
	model_page &at(unsigned page)
	{
		return pages_[page];
	}
	bool exited() const
	{
		return exited_;
	}

	std::vector<model_window> windows;

private:
	std::optional<u64> &slot(unsigned page);
	void lose(unsigned page);

	model_page pages_[REACH];
	std::optional<u64> file_[REACH];
	bool exited_ = false;

public:
	model();
};

/* CPU address of a page of the arena. */
constexpr u64 ARENA = 0x7f0000000000ull;
constexpr u64 address(unsigned page)
{
	return ARENA + u64(page) * svm_host::PAGE;
}

} // namespace svm_fuzz

#endif
