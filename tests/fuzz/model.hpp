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

#include <svm/svm.h>

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

/* Device addresses that lead on alike. Holes have none. */
struct model_span {
	u64 start, end;
	u32 kind;
	u64 offset;

	bool leads_like(const model_span &other) const
	{
		return kind == other.kind && offset == other.offset;
	}
	bool holds(u64 va) const
	{
		return va >= start && va < end;
	}
};

class model
{
public:
	/* ---- what is to be answered: 0 or a negative errno; -EINPROGRESS: only the manager can tell ---- */
	int access(unsigned page, bool write) const;
	/* The same for a device address; of null while the process is there. */
	int device_access(u64 va, bool write) const;
	int bind(const std::vector<svm_bind_op> &ops) const;
	bool bound(u64 start, u64 end) const; /* without a hole */
	const model_span *span_at(u64 va) const;
	/* The page of the arena that the device address mirrors; REACH: none. */
	unsigned page_behind(u64 va) const;
	bool any_mapped(range r) const;

	/* ---- what changes it ---- */
	void bound_to(const svm_bind_op &op);
	void unbind_all()
	{
		spans_.clear();
	}
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

	/* What is bound, in ascending order; neighbours that lead on alike are one. */
	const std::vector<model_span> &spans() const
	{
		return spans_;
	}

private:
	std::optional<u64> &slot(unsigned page);
	void lose(unsigned page);

	std::vector<model_span> spans_;
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

/*
 * Where operations have device addresses: at the CPU's and a table around them, and all of that far above. How much higher
 * than the CPU's those may be: at whole tables, where huge leaves fit, and some pages aside.
 */
constexpr u64 FAR = 1ull << 36, TABLE_SPAN = TABLE * svm_host::PAGE;
constexpr u64 areas[] = {ARENA - TABLE_SPAN, ARENA - TABLE_SPAN + FAR};
constexpr unsigned AREA_PAGES = REACH + 2 * TABLE;
constexpr u64 offsets[] = {0, 0, 0, FAR, TABLE_SPAN, 0 - TABLE_SPAN, 3 * svm_host::PAGE, FAR - 5 * svm_host::PAGE};

} // namespace svm_fuzz

#endif
