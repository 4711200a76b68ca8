// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of each call fails once. The kernel's own injection does it: N
 * written to a task's fail-nth makes the task's Nth allocation from then on fail,
 * be it the slab allocator's or the page allocator's. N goes up from 1 until a call gets through with
 * allocations left over. Every call that failed says -ENOMEM, leaves nothing behind,
 * and the same call without injection works.
 *
 * Leak detection allocates too and is counted: there a failure is nobody's
 * business, so a call may succeed although one was injected.
 */
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

namespace {

const std::string debugfs = "/sys/kernel/debug/";

// Which allocations count. A call makes the same ones of the slab allocator's each time (leak detection doubles
// them); where a slab wants a page or not, all pages behind it move.
enum class kind { slab, pages };

// For as long as it lives, what the kernel would rather not fail may fail too.
class switches {
public:
	switches()
	{
		for (const char *what : {"failslab/", "fail_page_alloc/"}) {
			set(debugfs + what + "ignore-gfp-wait", "N");
			set(debugfs + what + "verbose", "0");
		}
		set(debugfs + "fail_page_alloc/ignore-gfp-highmem", "N");
		count(kind::slab);
	}
	// A filter that no cache passes takes slabs out of it, an order that no allocation has pages.
	void count(kind what)
	{
		set(debugfs + "failslab/cache-filter", what == kind::slab ? "N" : "Y");
		set(debugfs + "fail_page_alloc/min-order", what == kind::slab ? "99" : "0");
	}
	switches(const switches &) = delete;
	switches &operator=(const switches &) = delete;
	~switches()
	{
		for (const auto &[path, old] : before_)
			write_file(path, old);
	}
	static bool there() { return std::filesystem::exists(debugfs + "failslab/ignore-gfp-wait"); }

private:
	void set(const std::string &path, const char *value)
	{
		before_.try_emplace(path, read_line(path));
		EXPECT_TRUE(write_file(path, value)) << path;
	}
	std::map<std::string, std::string> before_;
};

// fail-nth of one task; a task that has gone takes no part.
class fail_nth {
public:
	explicit fail_nth(const std::string &task) : fd_(open((task + "/fail-nth").c_str(), O_RDWR | O_CLOEXEC)) {}
	fail_nth(fail_nth &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	fail_nth(const fail_nth &) = delete;
	fail_nth &operator=(const fail_nth &) = delete;
	~fail_nth()
	{
		if (fd_ >= 0)
			close(fd_);
	}
	bool there() const { return fd_ >= 0; }
	bool arm(unsigned n) const
	{
		char text[16];
		int length = std::snprintf(text, sizeof(text), "%u", n);
		return pwrite(fd_, text, static_cast<std::size_t>(length), 0) == length;
	}
	// Whether the allocation failed since arm().
	bool disarm() const
	{
		char text[16] = "";
		bool hit = pread(fd_, text, sizeof(text) - 1, 0) > 0 && std::strtoul(text, nullptr, 10) == 0;
		arm(0);
		return hit;
	}

private:
	int fd_;
};

// One ioctl, and what makes it possible again.
struct call {
	const char *name;
	std::function<int()> act; // 0 or a negative errno
	std::function<void()> before = [] {}, after = [] {};
	bool must_succeed = false; // what ends things needs no memory that it could not do without
	unsigned at_least = 1; // so many of the slab allocator's must have mattered
};

// True: the nth allocation failed.
bool fail_one(const call &what, const fail_nth &self, unsigned n, unsigned &failed)
{
	what.before();
	EXPECT_TRUE(self.arm(n));
	int rc = what.act();
	bool hit = self.disarm();
	failed += rc != 0;
	if (!hit || what.must_succeed)
		EXPECT_EQ(rc, 0) << what.name << ", allocation " << n;
	else
		EXPECT_TRUE(rc == 0 || rc == -ENOMEM) << what.name << ", allocation " << n << ": " << rc;
	if (rc) {
		EXPECT_EQ(what.act(), 0) << what.name << " after allocation " << n << " had failed";
	}
	what.after();
	return hit;
}

void fail_each_allocation(switches &on, const call &what)
{
	constexpr unsigned limit = 1000; // far more than any of them makes
	fail_nth self("/proc/thread-self");
	ASSERT_TRUE(self.there()) << "/proc/thread-self/fail-nth";
	for (kind which : {kind::slab, kind::pages}) {
		unsigned n = 1, failed = 0, patience = which == kind::slab ? 1 : 3, wanted = which == kind::slab ? what.at_least : 0;
		on.count(which);
		// one more now and then (an object of the kernel's own checks) moves those behind it: such a round is done again
		for (unsigned round = 0; round < 4 && (!round || failed < wanted); round++) {
			n = 1;
			failed = 0;
			for (unsigned silent = 0; silent < patience && n < limit;) {
				bool hit = fail_one(what, self, n, failed);
				n += hit;
				silent = hit ? 0 : silent + 1;
			}
		}
		EXPECT_LT(n, limit) << what.name;
		EXPECT_GE(failed, wanted) << what.name << ": of " << n - 1 << " allocations";
		std::fprintf(stderr, "fail-nth: %s: %u allocations of %s, %u of them mattered\n", what.name, n - 1,
			     which == kind::slab ? "slabs" : "pages", failed);
	}
	on.count(kind::slab);
}

// Nothing of svmirror's own is left either: "domains 0", "mappings 0", …
bool nothing_allocated()
{
	std::ifstream in(debugfs + "svmirror/leaks");
	std::string what;
	long count, lines = 0;
	bool clean = true;
	while (in >> what >> count) {
		lines++;
		clean &= !count;
	}
	return clean && lines == 4;
}

#define NEED_INJECTION()                                                           \
	if (!switches::there())                                                    \
		GTEST_SKIP() << "a kernel without CONFIG_FAILSLAB";                \
	switches on

// Pages with nothing to allocate for the CPU's side: what fails is ours.
void make_present(mapping &memory)
{
	memory.no_huge_pages();
	for (std::size_t i = 0; i < memory.pages(); i++)
		memory.at(i) = std::byte(i);
}

} // namespace

SVM_TEST_WITHIN(FailNth, MakingAndEndingVms, 300)
{
	NEED_INJECTION();
	{
		// another process's tables are no remedy
		gpu neighbour;
		mapping memory(table_span);
		make_present(memory);
		ASSERT_EQ(device_fill(neighbour.queue, memory.bytes(), std::byte{1}), 0);
		svmirror::device device;
		int fd = device.fd();
		std::uint32_t vm = 0;
		auto make = [&] { return svmirror_vm_create(fd, nullptr, &vm); };
		auto end = [&] { return svmirror_vm_destroy(fd, vm); };
		fail_each_allocation(on, {.name = "vm create", .act = make, .after = [&] { EXPECT_EQ(end(), 0); }, .at_least = 10});
		fail_each_allocation(on, {.name = "vm destroy", .act = end, .before = [&] { ASSERT_EQ(make(), 0); },
				      .must_succeed = true, .at_least = 0});
		EXPECT_EQ(neighbour.vm.counters().tables_freed, 0u);
	}
	EXPECT_TRUE(nothing_held());
	EXPECT_TRUE(eventually(nothing_allocated)) << debugfs << "svmirror/leaks";
}

SVM_TEST_WITHIN(FailNth, WindowsAndPrefetch, 300)
{
	NEED_INJECTION();
	{
		svmirror::device device;
		svmirror::vm vm(device);
		mapping memory(4 * table_span);
		std::uint64_t start = svmirror::address(memory.data()), pages;
		int fd = device.fd();
		auto bind = [&] { return svmirror_bind(fd, vm.id(), start, memory.size(), 0); };
		auto unbind = [&] { return svmirror_unbind(fd, vm.id(), start, memory.size()); };
		auto some = [&](std::size_t size) { return svmirror_prefetch(fd, vm.id(), start, size, DRM_SVM_PREFETCH_WRITE, &pages); };
		auto table = [&] { return some(table_span); };
		auto prefetch = [&] { return some(memory.size()); };
		auto bound = [&] { ASSERT_EQ(bind(), 0); };
		auto unbound = [&] { EXPECT_EQ(unbind(), 0); };
		make_present(memory);
		fail_each_allocation(on, {.name = "bind", .act = bind, .after = unbound});
		fail_each_allocation(on, {.name = "prefetch", .act = table, .before = bound,
				      .after = [&] { EXPECT_EQ(pages, table_span / page); unbound(); }, .at_least = 2});
		// how much of several tables falls to this thread is chance
		fail_each_allocation(on, {.name = "prefetch by several", .act = prefetch, .before = bound,
				      .after = [&] { EXPECT_EQ(pages, memory.pages()); unbound(); }, .at_least = 0});
		fail_each_allocation(on, {.name = "unbind", .act = unbind, .before = [&] { bound(); ASSERT_EQ(prefetch(), 0); },
				      .at_least = 2});
	}
	EXPECT_TRUE(nothing_held());
	EXPECT_TRUE(eventually(nothing_allocated)) << debugfs << "svmirror/leaks";
}

SVM_TEST_WITHIN(FailNth, QueuesJobsAndQuestions, 300)
{
	NEED_INJECTION();
	{
		gpu gpu;
		mapping memory(page);
		int fd = gpu.device.fd();
		std::uint32_t queue = 0;
		std::uint64_t token = 1ull << 40;
		drm_svgpu_job_result result{};
		drm_svm_counters counters;
		drm_svm_fault_record record;
		drm_svgpu_device info;
		std::size_t count;
		make_present(memory);
		svmirror::syncobj done(fd);
		svmirror_job job{};
		job.queue = gpu.queue.id();
		job.kernel = SVMIRROR_FILL;
		job.out_syncobj = done.id();
		job.args[0] = svmirror::address(memory.data());
		job.args[1] = page;
		auto make = [&] { return svmirror_queue_create(fd, gpu.vm.id(), &queue); };
		auto end = [&] { return svmirror_queue_destroy(fd, queue); };
		auto submit = [&] { job.token = ++token; return svmirror_submit(fd, &job); };
		auto waited = [&] { ASSERT_TRUE(done.wait(job_limit)); };
		auto take = [&] { return svmirror_job_result(fd, job.queue, token, &result); };
		fail_each_allocation(on, {.name = "queue create", .act = make, .after = [&] { EXPECT_EQ(end(), 0); }});
		fail_each_allocation(on, {.name = "queue destroy", .act = end, .before = [&] { ASSERT_EQ(make(), 0); },
				      .must_succeed = true, .at_least = 0});
		fail_each_allocation(on, {.name = "submit", .act = submit,
				      .after = [&] { waited(); EXPECT_EQ(take(), 0); EXPECT_EQ(result.status, 0); }, .at_least = 3});
		fail_each_allocation(on, {.name = "job's result", .act = take, .before = [&] { ASSERT_EQ(submit(), 0); waited(); },
				      .must_succeed = true, .at_least = 0});
		fail_each_allocation(on, {.name = "query counters",
				      .act = [&] { return svmirror_counters(fd, gpu.vm.id(), &counters); }, .at_least = 0});
		fail_each_allocation(on, {.name = "query fault log",
				      .act = [&] { return svmirror_fault_log(fd, gpu.vm.id(), &record, 1, &count); }});
		fail_each_allocation(on, {.name = "query GPU", .act = [&] { return svmirror_gpu_info(fd, &info); }, .at_least = 0});
	}
	EXPECT_TRUE(nothing_held());
	EXPECT_TRUE(eventually(nothing_allocated)) << debugfs << "svmirror/leaks";
}

namespace {

// The kernel threads that serve the device's faults are some of these; which is the workqueue's choice.
std::vector<fail_nth> workers()
{
	std::vector<fail_nth> found;
	for (const auto &entry : std::filesystem::directory_iterator("/proc"))
		if (read_line(entry.path() / "comm").starts_with("kworker/u")) {
			fail_nth one(entry.path());
			if (one.there())
				found.push_back(std::move(one));
		}
	return found;
}

// A job of a vm that has no tables yet, while the Nth allocation of each worker fails, once. True: one did. The fault is
// tried again, as the CPU's own would be.
bool fault_with_failure(mapping &memory, unsigned n)
{
	gpu gpu;
	std::vector<fail_nth> armed = workers();
	EXPECT_FALSE(armed.empty());
	for (const fail_nth &one : armed)
		one.arm(n);
	int error = device_fill(gpu.queue, memory.bytes(), std::byte(n));
	bool hit = false;
	for (const fail_nth &one : armed)
		hit |= one.disarm();
	EXPECT_EQ(error, 0) << "allocation " << n;
	EXPECT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte(n + 1)), 0) << "after allocation " << n;
	EXPECT_EQ(memory.at(memory.pages() - 1), std::byte(n + 1));
	return hit;
}

} // namespace

// The workers' own allocations. A fault may meet a worker that began after we looked: so silence is asked for again.
SVM_TEST_WITHIN(FailNth, FaultsOfTheDevice, 300)
{
	NEED_INJECTION();
	constexpr unsigned limit = 300, patience = 3;
	mapping memory(2 * page);
	unsigned n = 1;
	make_present(memory);
	for (unsigned silent = 0; silent < patience && n < limit;) {
		if (fault_with_failure(memory, n)) {
			n++;
			silent = 0;
		} else {
			silent++;
		}
	}
	EXPECT_LT(n, limit);
	EXPECT_GT(n, 4u) << "the injection did not reach the faults";
	std::fprintf(stderr, "fail-nth: fault: %u allocations\n", n - 1);
	EXPECT_TRUE(nothing_held());
	EXPECT_TRUE(eventually(nothing_allocated)) << debugfs << "svmirror/leaks";
}
