// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a thread of a worker process does: episodes, each a window of the oracle
 * in which jobs and the CPU's operations meet on one area.
 */
#ifndef SVM_TESTS_CHAOS_WORK_HPP
#define SVM_TESTS_CHAOS_WORK_HPP

#include <memory>
#include <optional>
#include <sys/mman.h>
#include <vector>

#include <svmirror.hpp>

#include "area.hpp"
#include "random.hpp"

/* Later than some C libraries' headers. */
#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace chaos {

inline constexpr std::chrono::seconds job_limit{150};

class worker {
public:
	worker(const identity &me, svmirror::vm &vm, std::vector<backing> kinds, random numbers);
	worker(const worker &) = delete;
	worker &operator=(const worker &) = delete;

	void episode(unsigned number);
	// Everything is as it must be.
	void finish();
	// Jobs that nobody waits for.
	void leave_jobs_behind();

private:
	enum class work { write, fill, read, sum, histogram, touch, kinds };
	struct running {
		work what;
		std::size_t first, count;
		std::size_t flight; // of the model's flights, where it writes
		std::size_t buffer; // one of buffers_, where it copies
		svmirror::job job;
	};

	void new_area();
	void submit_one(unsigned index);
	void operate();
	// rebind.cpp
	std::uint64_t behind() const;
	drm_svm_bind_op draw_bind(std::size_t first, std::size_t count);
	void rebind_behind();
	void look_at_bind(const drm_svm_bind_op &op);
	void restore_behind();
	void operate_on_part(unsigned which, std::size_t first, std::size_t count);
	void judge(running &done);
	void judge_error(const running &done, const svmirror::job_result &result);
	void judge_reads(const running &done, std::size_t pages);
	bool exactly_known(const running &done) const;
	static bool writes(work what) { return what == work::write || what == work::fill; }

	identity me_;
	svmirror::vm &vm_;
	std::vector<svmirror::queue> queues_;
	std::vector<backing> kinds_;
	random numbers_;
	std::optional<area> area_;
	std::vector<running> running_;

	static constexpr std::size_t buffer_pages = 96, buffer_count = 3;
	std::array<std::span<std::uint64_t>, buffer_count> buffers_;
	std::array<std::uint64_t, words_per_page> looked_at_;
	std::uint64_t sums_[buffer_count];
	std::array<std::uint64_t, 256> bins_[buffer_count];
};

} // namespace chaos

#endif
