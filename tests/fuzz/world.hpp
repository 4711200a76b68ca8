/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One input's world: a small simulated machine, and the model of what its process must see.
 * Whatever the machine complains about, and whatever the two disagree about, aborts.
 */
#ifndef SVM_TESTS_FUZZ_WORLD_HPP
#define SVM_TESTS_FUZZ_WORLD_HPP

#include "tests/fuzz/model.hpp"
#include "tests/host/backend.hpp"
#include "tests/host/check.hpp"
#include "tests/host/domain.hpp"

#include <svm/svm.h>

#include <deque>

namespace svm_fuzz
{

/* A child of fork() and what it must go on to see. */
struct remembered_child {
	std::unique_ptr<svm_host::child> child;
	std::vector<std::optional<u64>> values;

	void check() const;
};

class world
{
public:
	explicit world(u8 config);
	/* Takes it apart: nothing may be left. */
	~world();
	world(const world &) = delete;

	void make_vm(u8 config);
	void drop_vm();

	/* What the device's tables and its TLB say of these pages, by every binding, against the CPU's own entries. */
	void check(range r);
	/* The same of all device addresses that operations are about, and the counters. */
	void check_all();
	/* The same of one. */
	void check_at(u64 va)
	{
		counted ignored;

		check_at(va, ignored);
	}
	/* svm_bindings() and the model say the same. */
	void check_bindings();

	svm_host::gpu &device()
	{
		return gpus.device();
	}

	svm_host::memory mem{4 * PAGES + TABLE, 10};
	std::shared_ptr<svm_host::file> object = std::make_shared<svm_host::file>(mem);
	std::unique_ptr<mm_struct> proc = std::make_unique<mm_struct>(mem);
	svm_host::backend gpus;
	::device dev;
	svm_vm *vm = nullptr;
	class model model;
	std::deque<remembered_child> children;
	bool lost = false; /* the device was: nothing more can be asked of this vm */

private:
	/* What the device reaches, in pages of 4 KiB, and how it does. */
	struct counted {
		u64 pages = 0, nulls = 0, huge = 0; /* huge: leaves of a whole table that mirror */
	};

	void map_some();
	/* It leads to the page that the CPU's entry names, and allows no more than that and the model do. */
	void check_translation(const char *where, unsigned page, u64 va, const svm_host::translation &t,
			       const std::optional<svm_host::entry> &e) const;
	void check_at(u64 va, counted &n);
};

/* Says what is wrong there and aborts. */
[[noreturn]] void wrong_at(const char *where, const char *what, u64 va);
/* Says what was expected and aborts. */
[[noreturn]] void disagree(const char *what, long long expected, long long got);
#define AGREE(what, expected, got)                                                    \
	do {                                                                          \
		long long e_ = (long long)(expected), g_ = (long long)(got);          \
		if (e_ != g_)                                                         \
			::svm_fuzz::disagree(what, e_, g_);                           \
	} while (0)

} // namespace svm_fuzz

#endif
