// SPDX-License-Identifier: GPL-2.0-only
#include "contender.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "region.hpp"

namespace bench {

const std::vector<contender> &contenders()
{
	static const std::vector<contender> all = {
		{"none", false, -1, 0},
		{"floor", false, SVM_BENCH_FLOOR, 0},
		{"drm_gpusvm", true, SVM_BENCH_GPUSVM, 0},
		{"svmirror-64K", true, SVM_BENCH_SVMIRROR, 16},
		{"svmirror-2M", true, SVM_BENCH_SVMIRROR, 21},
	};
	return all;
}

bool is_built(const contender &who)
{
	if (who.kernel < 0)
		return true;
	svm_bench_begin begin = {static_cast<__u32>(who.kernel), who.granule_lg2};
	const int fd = open("/dev/svm_bench", O_RDWR | O_CLOEXEC);

	must(fd, "/dev/svm_bench");
	const bool built = !ioctl(fd, SVM_BENCH_IOCTL_BEGIN, &begin) || errno != ENODEV;
	close(fd);
	return built;
}

void fail(const char *what, std::uint64_t is, std::uint64_t should)
{
	std::printf("svm_bench: %s: %llu, not %llu\n", what, static_cast<unsigned long long>(is),
		    static_cast<unsigned long long>(should));
	std::fflush(stdout);
	std::_Exit(1);
}

void must(long result, const char *what)
{
	if (result != -1)
		return;
	std::printf("svm_bench: %s: %s\n", what, std::strerror(errno));
	std::fflush(stdout);
	std::_Exit(1);
}

device::device(const contender &who) : who_(who)
{
	if (who.kernel < 0)
		return;
	svm_bench_begin begin = {static_cast<__u32>(who.kernel), who.granule_lg2};
	must(fd_ = open("/dev/svm_bench", O_RDWR | O_CLOEXEC), "/dev/svm_bench");
	must(ioctl(fd_, SVM_BENCH_IOCTL_BEGIN, &begin), "begin");
}

std::uint64_t device::granule() const
{
	return who_.granule_lg2 ? 1ull << who_.granule_lg2 : 2 * MiB;
}

std::uint64_t device::access_all(std::uint64_t start, std::uint64_t bytes, std::uint64_t step, access what) const
{
	if (who_.kernel < 0)
		return 0;
	svm_bench_fault fault = {start, start + bytes, step, what == access::write, 0, 0};
	must(ioctl(fd_, SVM_BENCH_IOCTL_FAULT, &fault), "fault");
	return fault.count;
}

std::uint64_t device::fault(std::uint64_t start, std::uint64_t bytes, std::uint64_t step, access what) const
{
	const traced here;

	return access_all(start, bytes, step, what);
}

void device::bring(std::uint64_t start, std::uint64_t bytes, access what) const
{
	if (who_.mirrors)
		access_all(start, bytes, 2 * MiB, what);
}

std::uint64_t device::prefetch(std::uint64_t start, std::uint64_t bytes) const
{
	const traced here;

	if (who_.kernel < 0)
		return 0;
	svm_bench_prefetch prefetch = {start, start + bytes, 0};
	must(ioctl(fd_, SVM_BENCH_IOCTL_PREFETCH, &prefetch), "prefetch");
	return prefetch.count;
}

void device::bind_null(std::uint64_t start, std::uint64_t pages, std::uint64_t step) const
{
	const svm_bench_bind bind = {start, step, pages};

	if (who_.kernel >= 0)
		must(ioctl(fd_, SVM_BENCH_IOCTL_BIND, &bind), "bind");
}

svm_bench_state device::state() const
{
	svm_bench_state state = {};

	if (who_.kernel >= 0)
		must(ioctl(fd_, SVM_BENCH_IOCTL_STATE, &state), "state");
	return state;
}

void device::expect_more(std::uint64_t before, std::uint64_t more) const
{
	if (!who_.mirrors)
		return;
	std::uint64_t now = state().pages;
	if (now != before + more)
		fail("pages that the device reaches", now, before + more);
}

} // namespace bench
