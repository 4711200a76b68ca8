// SPDX-License-Identifier: GPL-2.0-only
/* A contender as the program sees it: faults, prefetch and what is held, through /dev/svm_bench. */
#ifndef SVM_TESTS_BENCH_CONTENDER_HPP
#define SVM_TESTS_BENCH_CONTENDER_HPP

#include <cstdint>
#include <vector>

#include "svm_bench.h"

namespace bench {

inline constexpr std::uint64_t KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB;
inline constexpr std::uint64_t page_bytes = 4 * KiB;

struct contender {
	const char *name;
	bool mirrors; // false: its faults leave nothing in the device
	int kernel;   // enum svm_bench_contender; -1: none, the device makes no access
	unsigned granule_lg2;
};

// The first one is what the process's own calls cost without any device.
const std::vector<contender> &contenders();

// False: the kernel's source has no such peer.
bool is_built(const contender &who);

enum class access { read, write };

// An open contender; closed with the process.
class device {
public:
	explicit device(const contender &who);
	device(const device &) = delete;
	device &operator=(const device &) = delete;

	const contender &who() const { return who_; }
	// What one fault makes present where nothing was.
	std::uint64_t granule() const;
	// Accesses every @step bytes; returns the instructions.
	std::uint64_t fault(std::uint64_t start, std::uint64_t bytes, std::uint64_t step, access what = access::write) const;
	// The same before a row's region, for those that mirror: one access in each table, never traced.
	void bring(std::uint64_t start, std::uint64_t bytes, access what = access::write) const;
	std::uint64_t prefetch(std::uint64_t start, std::uint64_t bytes) const;
	// Binds single pages to null, every @step bytes. A contender that knows no bindings does nothing.
	void bind_null(std::uint64_t start, std::uint64_t pages, std::uint64_t step) const;
	svm_bench_state state() const;
	// Ends the program with a message unless the device reaches @more pages than @before.
	void expect_more(std::uint64_t before, std::uint64_t more) const;

private:
	std::uint64_t access_all(std::uint64_t start, std::uint64_t bytes, std::uint64_t step, access what) const;

	const contender &who_;
	int fd_ = -1;
};

[[noreturn]] void fail(const char *what, std::uint64_t is, std::uint64_t should);
void must(long result, const char *what);

} // namespace bench

#endif
