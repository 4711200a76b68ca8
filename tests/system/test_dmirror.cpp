// SPDX-License-Identifier: GPL-2.0-only
/* drivers/dmirror: a device in software on the C API alone, which needs no virtual GPU. */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "dmirror.h"
#include "lifetime.hpp"

using namespace harness;

namespace {

constexpr const char *second = "/dev/hmm_dmirror1";

// The module for as long as a test runs, and an open file of its first device.
class dmirror {
public:
	dmirror()
	{
		EXPECT_EQ(module_.load(), 0);
		EXPECT_TRUE(eventually([&] { return (fd_ = open("/dev/hmm_dmirror0", O_RDWR | O_CLOEXEC)) >= 0; }, 20s));
	}
	~dmirror() { leave(); }
	// The file and the module go.
	void leave()
	{
		if (fd_ < 0)
			return;
		close(fd_);
		fd_ = -1;
		EXPECT_EQ(module_.unload(), 0);
	}
	int fd() const { return fd_; }

	// 0 or a negative errno.
	int call(unsigned long what, dmirror_command &args) const { return ioctl(fd_, what, &args) < 0 ? -errno : 0; }
	int call(unsigned long what, const void *at, void *buffer, std::size_t pages) const
	{
		dmirror_command args = command(at, buffer, pages);
		return call(what, args);
	}
	static dmirror_command command(const void *at, void *buffer, std::size_t pages)
	{
		return {reinterpret_cast<std::uintptr_t>(at), reinterpret_cast<std::uintptr_t>(buffer), pages, 0, 0};
	}

private:
	lifetime::modules module_{"dmirror"};
	int fd_ = -1;
};

void fill(const mapping &memory, unsigned seed)
{
	auto *words = reinterpret_cast<std::uint32_t *>(memory.data());
	for (std::size_t i = 0; i < memory.size() / sizeof(*words); i++)
		words[i] = seed + i;
}

bool same(const mapping &one, const mapping &other)
{
	return !std::memcmp(one.data(), other.data(), one.size());
}

// What each page of the memory is for a device's file.
std::vector<unsigned char> seen(int fd, const mapping &memory)
{
	std::vector<unsigned char> pages(memory.pages());
	dmirror_command args = dmirror::command(memory.data(), pages.data(), memory.pages());
	EXPECT_EQ(ioctl(fd, DMIRROR_SNAPSHOT, &args), 0);
	return pages;
}

// Moves the memory to the device; false: the kernel has no memory of devices.
bool goes_there(const dmirror &device, const mapping &memory)
{
	mapping buffer(memory.size());
	int error = device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), buffer.data(), memory.pages());
	if (error == -EOPNOTSUPP)
		return false;
	EXPECT_EQ(error, 0);
	for (unsigned char what : seen(device.fd(), memory))
		EXPECT_EQ(what, DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE);
	return true;
}

bool holds(const mapping &memory, unsigned seed)
{
	auto *words = reinterpret_cast<std::uint32_t *>(memory.data());
	for (std::size_t i = 0; i < memory.size() / sizeof(*words); i++)
		if (words[i] != seed + i)
			return false;
	return true;
}

constexpr const char *no_memory = "this kernel has no memory of devices";

} // namespace

SVM_TEST(Dmirror, CopiesAtTheProcesssAddresses)
{
	dmirror device;
	mapping memory(4 * mib), buffer(4 * mib);
	fill(memory, 1);
	dmirror_command args = device.command(memory.data(), buffer.data(), memory.pages());
	ASSERT_EQ(device.call(DMIRROR_READ, args), 0);
	EXPECT_EQ(args.cpages, memory.pages());
	EXPECT_EQ(args.faults, 1u) << "what follows a missing page comes with it";
	EXPECT_TRUE(same(memory, buffer));

	fill(buffer, 1000);
	ASSERT_EQ(device.call(DMIRROR_WRITE, memory.data(), buffer.data(), memory.pages()), 0);
	EXPECT_TRUE(same(memory, buffer));

	// what the process gave back is gone from the device
	ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
	ASSERT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), memory.pages()), 0);
	for (std::byte b : buffer.bytes())
		ASSERT_EQ(b, std::byte(0));
}

SVM_TEST(Dmirror, KeepsToTheProcesssRights)
{
	dmirror device;
	mapping memory(16 * page), buffer(16 * page);
	fill(memory, 1);
	fill(buffer, 1000);
	ASSERT_EQ(mprotect(&memory.at(4), page, PROT_READ), 0);
	ASSERT_EQ(mprotect(&memory.at(8), page, PROT_NONE), 0);
	ASSERT_EQ(munmap(&memory.at(12), page), 0);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), 8), 0);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), 9), -EFAULT);
	EXPECT_EQ(device.call(DMIRROR_READ, &memory.at(9), buffer.data(), 3), 0);
	EXPECT_EQ(device.call(DMIRROR_READ, &memory.at(12), buffer.data(), 1), -EFAULT);
	fill(buffer, 1000);
	EXPECT_EQ(device.call(DMIRROR_WRITE, memory.data(), buffer.data(), 8), -EPERM);
	EXPECT_EQ(std::memcmp(memory.data(), buffer.data(), 4 * page), 0) << "the pages before were written";
	EXPECT_NE(std::memcmp(&memory.at(4), &buffer.at(4), page), 0);
	EXPECT_NE(std::memcmp(&memory.at(5), &buffer.at(5), page), 0) << "those after it were not";
	EXPECT_EQ(device.call(DMIRROR_WRITE, &memory.at(8), buffer.data(), 1), -EFAULT);
	// the buffer is the caller's memory as in any ioctl
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), &memory.at(12), 1), -EFAULT);
	EXPECT_EQ(device.call(DMIRROR_WRITE, memory.data(), &memory.at(12), 1), -EFAULT);
	// the mapping is to find its own when it goes
	ASSERT_EQ(mmap(&memory.at(12), page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), &memory.at(12));
}

SVM_TEST(Dmirror, BadInput)
{
	dmirror device;
	mapping memory(page), buffer(page);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), 0), -EINVAL);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data() + 8, buffer.data(), 1), -EINVAL);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), ~0ull / page), -EINVAL);
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), ~0ull), -EINVAL);
	EXPECT_EQ(device.call(DMIRROR_READ, reinterpret_cast<void *>(1ull << 47), buffer.data(), 1), -EINVAL);
	EXPECT_EQ(device.call(_IOWR('H', 10, dmirror_command), memory.data(), buffer.data(), 1), -ENOTTY);
	EXPECT_EQ(ioctl(device.fd(), DMIRROR_READ, nullptr), -1);
	EXPECT_EQ(errno, EFAULT);
	// the page is there for the device, so nothing but the look at the caller can refuse it
	EXPECT_EQ(device.call(DMIRROR_READ, memory.data(), buffer.data(), 1), 0);
	child other([&] { return device.call(DMIRROR_READ, memory.data(), buffer.data(), 1) == -EPERM ? 0 : 1; });
	EXPECT_TRUE(other.succeeded()) << "a child is another process";
}

SVM_TEST(Dmirror, SnapshotSaysWhatTheDeviceReaches)
{
	dmirror device;
	mapping memory(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	ASSERT_EQ(mprotect(&memory.at(0), page, PROT_READ), 0);
	ASSERT_EQ(mprotect(&memory.at(1), page, PROT_NONE), 0);
	ASSERT_EQ(madvise(&memory.at(3), page, MADV_DONTNEED), 0);
	std::byte zero = *const_cast<volatile std::byte *>(&memory.at(3)); // brings the page of zeros
	EXPECT_EQ(zero, std::byte(0));
	ASSERT_EQ(munmap(&memory.at(5), page), 0);
	unsigned char seen[8] = {};
	ASSERT_EQ(device.call(DMIRROR_SNAPSHOT, memory.data(), seen, 8), 0);
	EXPECT_EQ(seen[0], DMIRROR_SAW_READ);
	EXPECT_EQ(seen[1], DMIRROR_SAW_ERROR);
	EXPECT_EQ(seen[2], DMIRROR_SAW_WRITE);
	EXPECT_EQ(seen[3], DMIRROR_SAW_READ | DMIRROR_SAW_ZERO);
	EXPECT_EQ(seen[4], DMIRROR_SAW_WRITE);
	EXPECT_EQ(seen[5], DMIRROR_SAW_ERROR);
	EXPECT_EQ(seen[7], DMIRROR_SAW_WRITE);
	ASSERT_EQ(mmap(&memory.at(5), page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), &memory.at(5));
}

SVM_TEST(Dmirror, MirrorsADriversOwnPages)
{
	dmirror device;
	void *own = mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, device.fd(), 0);
	ASSERT_NE(own, MAP_FAILED);
	mapping buffer(4 * page);
	fill(buffer, 7);
	ASSERT_EQ(device.call(DMIRROR_WRITE, own, buffer.data(), 4), 0);
	EXPECT_EQ(std::memcmp(own, buffer.data(), 4 * page), 0);
	ASSERT_EQ(munmap(own, 4 * page), 0);
	EXPECT_EQ(device.call(DMIRROR_READ, own, buffer.data(), 1), -EFAULT);
}

// The CPU throws a page away and writes the next number into the new one; the device sees that number or a later
// one, or the zero in between, and never one from a page that is gone.
SVM_TEST(Dmirror, SeesNoPageThatIsGone)
{
	dmirror device;
	mapping memory(page), buffer(page);
	auto &word = *reinterpret_cast<volatile std::uint64_t *>(memory.data());
	auto &got = *reinterpret_cast<std::uint64_t *>(buffer.data());
	std::atomic<std::uint64_t> written{1};
	std::atomic<bool> stopping{false}; // relaxed: a request
	word = 1;
	std::thread cpu([&] {
		for (std::uint64_t number = 2; !stopping.load(std::memory_order_relaxed); number++) {
			madvise(memory.data(), page, MADV_DONTNEED);
			word = number;
			// pairs with the acquire load below: what the device reads after that is as new
			written.store(number, std::memory_order_release);
		}
	});
	std::uint64_t newest = 0;
	auto late = std::chrono::steady_clock::now() + 60s;
	// on, until the CPU has had its turns too
	for (unsigned i = 0; i < 3000 || (newest <= 10 && std::chrono::steady_clock::now() < late); i++) {
		std::uint64_t floor = written.load(std::memory_order_acquire);
		int error = device.call(DMIRROR_READ, memory.data(), buffer.data(), 1);
		if (error || (got && got < floor)) {
			ADD_FAILURE() << "error " << error << ", read " << got << " after " << floor;
			break;
		}
		newest = std::max(newest, got);
	}
	stopping.store(true, std::memory_order_relaxed);
	cpu.join();
	EXPECT_GT(newest, 10u);
}

SVM_TEST(Dmirror, PagesGoToItsMemoryAndComeHome)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	int error = device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), buffer.data(), 8);
	if (error == -EOPNOTSUPP)
		GTEST_SKIP() << no_memory;
	ASSERT_EQ(error, 0);
	EXPECT_TRUE(holds(buffer, 1)) << "what the device has";
	EXPECT_EQ(seen(device.fd(), memory), std::vector<unsigned char>(8, DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE));
	// the device's writes are there, and the CPU's touch brings one page
	fill(buffer, 500);
	ASSERT_EQ(device.call(DMIRROR_WRITE, memory.data(), buffer.data(), 8), 0);
	EXPECT_EQ(*reinterpret_cast<std::uint32_t *>(&memory.at(2)), 500 + 2 * page / 4);
	std::vector<unsigned char> there = seen(device.fd(), memory);
	for (std::size_t i = 0; i < 8; i++)
		EXPECT_EQ(there[i], i == 2 ? DMIRROR_SAW_WRITE : DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE) << i;
	dmirror_command args = device.command(memory.data(), nullptr, 8);
	ASSERT_EQ(device.call(DMIRROR_MIGRATE_TO_SYS, args), 0);
	EXPECT_EQ(args.cpages, 7u);
	EXPECT_EQ(seen(device.fd(), memory), std::vector<unsigned char>(8, DMIRROR_SAW_WRITE));
	EXPECT_TRUE(holds(memory, 500));
}

SVM_TEST(Dmirror, MovesOnlyWhatCanMove)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	if (device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), buffer.data(), 1) == -EOPNOTSUPP)
		GTEST_SKIP() << no_memory;
	ASSERT_NE(mmap(&memory.at(2), page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	memory.at(2) = std::byte(7);
	EXPECT_EQ(device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), buffer.data(), 8), -ENOENT) << "shared memory stays";
	std::vector<unsigned char> there = seen(device.fd(), memory);
	EXPECT_EQ(there[1], DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE);
	EXPECT_EQ(there[2], DMIRROR_SAW_WRITE);
	ASSERT_EQ(mprotect(&memory.at(4), page, PROT_NONE), 0);
	for (unsigned long what : {DMIRROR_MIGRATE_TO_DEV, DMIRROR_MIGRATE_TO_SYS}) {
		EXPECT_EQ(device.call(what, memory.data(), buffer.data(), 8), -EINVAL) << "what may not be read";
		EXPECT_EQ(device.call(what, memory.data(), buffer.data(), 0), -EINVAL);
		EXPECT_EQ(device.call(what, memory.data() + 8, buffer.data(), 1), -EINVAL);
	}
	// the caller's buffer may be what is moved: its page comes home to be written
	ASSERT_EQ(device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), memory.data(), 1), 0);
	EXPECT_EQ(*reinterpret_cast<std::uint32_t *>(memory.data()), 1u);
}

SVM_TEST(Dmirror, TwoDevicesHaveMemoryOfTheirOwn)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	if (!goes_there(device, memory))
		GTEST_SKIP() << no_memory;
	int other = open(second, O_RDWR | O_CLOEXEC);
	ASSERT_GE(other, 0);
	EXPECT_EQ(seen(other, memory), std::vector<unsigned char>(8, DMIRROR_SAW_NOTHING)) << "a look brings nothing";
	EXPECT_EQ(seen(device.fd(), memory), std::vector<unsigned char>(8, DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE));
	// its access has them brought home
	dmirror_command args = device.command(memory.data(), buffer.data(), 8);
	ASSERT_EQ(ioctl(other, DMIRROR_READ, &args), 0);
	EXPECT_TRUE(holds(buffer, 1));
	EXPECT_EQ(seen(device.fd(), memory), std::vector<unsigned char>(8, DMIRROR_SAW_WRITE));
	close(other);
}

// All that any process has there: a child's too, which forked while its parent's pages were there.
SVM_TEST(Dmirror, ReleaseSendsAllHome)
{
	dmirror device;
	mapping memory(16 * page), others(16 * page);
	memory.no_huge_pages();
	others.no_huge_pages();
	fill(memory, 1);
	fill(others, 1000);
	if (!goes_there(device, memory) || !goes_there(device, others))
		GTEST_SKIP() << no_memory;
	child other([&] {
		mapping buffer(page);
		int mine = open("/dev/hmm_dmirror0", O_RDWR | O_CLOEXEC);
		dmirror_command args = dmirror::command(buffer.data(), buffer.data(), 1);
		if (mine < 0 || ioctl(mine, DMIRROR_RELEASE, &args) < 0)
			return 1;
		return holds(memory, 1) && holds(others, 1000) ? 0 : 2;
	});
	EXPECT_TRUE(other.succeeded());
	for (unsigned char what : seen(device.fd(), memory))
		EXPECT_FALSE(what & DMIRROR_SAW_VRAM);
	EXPECT_TRUE(holds(memory, 1));
	EXPECT_TRUE(holds(others, 1000));
}

// The device goes while a process has pages in its memory, and none of its files open.
SVM_TEST(Dmirror, PagesComeHomeWhenItGoes)
{
	dmirror device;
	mapping memory(600 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	if (!goes_there(device, memory))
		GTEST_SKIP() << no_memory;
	device.leave();
	EXPECT_TRUE(holds(memory, 1));
}

SVM_TEST(Dmirror, ExclusiveTakesPagesFromTheCpu)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	int error = device.call(DMIRROR_EXCLUSIVE, memory.data(), buffer.data(), 8);
	if (error == -EOPNOTSUPP)
		GTEST_SKIP() << "this kernel cannot take pages from the CPU";
	ASSERT_EQ(error, 0);
	EXPECT_TRUE(holds(buffer, 1));
	auto alone = [&](std::size_t i) { return device.call(DMIRROR_CHECK_EXCLUSIVE, &memory.at(i), nullptr, 1); };
	for (std::size_t i = 0; i < 8; i++)
		EXPECT_EQ(alone(i), -EPERM) << i;
	// the CPU's touch gets one page back, and so does the kernel's
	EXPECT_EQ(*reinterpret_cast<std::uint32_t *>(&memory.at(2)), 1 + 2 * page / 4);
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	EXPECT_EQ(::write(ends[1], &memory.at(3), page), ssize_t(page));
	close(ends[0]);
	close(ends[1]);
	for (std::size_t i = 0; i < 8; i++)
		EXPECT_EQ(alone(i), i == 2 || i == 3 ? 0 : -EPERM) << i;
	// the device's own accesses without atomics do not
	fill(buffer, 700);
	ASSERT_EQ(device.call(DMIRROR_WRITE, memory.data(), buffer.data(), 8), 0);
	EXPECT_EQ(alone(7), -EPERM);
	EXPECT_EQ(device.call(DMIRROR_CHECK_EXCLUSIVE, memory.data(), nullptr, 8), -EPERM);
	// another device takes it over, and gets what the first one wrote
	int other = open(second, O_RDWR | O_CLOEXEC);
	ASSERT_GE(other, 0);
	dmirror_command args = device.command(memory.data(), buffer.data(), 8);
	fill(buffer, 0);
	ASSERT_EQ(ioctl(other, DMIRROR_EXCLUSIVE, &args), 0);
	EXPECT_TRUE(holds(buffer, 700));
	EXPECT_EQ(device.call(DMIRROR_CHECK_EXCLUSIVE, memory.data(), nullptr, 8), 0);
	EXPECT_TRUE(holds(memory, 700));
	EXPECT_EQ(ioctl(other, DMIRROR_CHECK_EXCLUSIVE, &args), 0);
	close(other);
}

SVM_TEST(Dmirror, ExclusiveKeepsToWhatCanBeTaken)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	if (device.call(DMIRROR_EXCLUSIVE, memory.data(), buffer.data(), 1) == -EOPNOTSUPP)
		GTEST_SKIP() << "this kernel cannot take pages from the CPU";
	ASSERT_NE(mmap(&memory.at(2), page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	EXPECT_EQ(device.call(DMIRROR_EXCLUSIVE, &memory.at(2), buffer.data(), 1), -EOPNOTSUPP);
	ASSERT_EQ(mprotect(&memory.at(3), page, PROT_READ), 0);
	EXPECT_EQ(device.call(DMIRROR_EXCLUSIVE, &memory.at(3), buffer.data(), 1), -EPERM);
	ASSERT_EQ(mprotect(&memory.at(4), page, PROT_NONE), 0);
	EXPECT_EQ(device.call(DMIRROR_EXCLUSIVE, &memory.at(4), buffer.data(), 1), -EFAULT);
	// in its own memory the device needs nothing
	if (device.call(DMIRROR_MIGRATE_TO_DEV, memory.data(), buffer.data(), 1) == 0) {
		EXPECT_EQ(device.call(DMIRROR_EXCLUSIVE, memory.data(), buffer.data(), 1), 0);
		EXPECT_EQ(device.call(DMIRROR_CHECK_EXCLUSIVE, memory.data(), nullptr, 1), 0);
		unsigned char what = 0;
		EXPECT_EQ(device.call(DMIRROR_SNAPSHOT, memory.data(), &what, 1), 0);
		EXPECT_EQ(what, DMIRROR_SAW_VRAM | DMIRROR_SAW_WRITE);
	}
	// a page of a huge one, whose others stay mapped
	mapping huge(2 * table_span);
	auto *start = reinterpret_cast<std::byte *>((reinterpret_cast<std::uintptr_t>(huge.data()) + table_span - 1) & ~(table_span - 1));
	madvise(start, table_span, MADV_HUGEPAGE);
	std::memset(start, 5, table_span);
	EXPECT_EQ(device.call(DMIRROR_READ, start, buffer.data(), 8), 0);
	EXPECT_EQ(device.call(DMIRROR_EXCLUSIVE, start + page, buffer.data(), 1), 0);
	EXPECT_EQ(device.call(DMIRROR_CHECK_EXCLUSIVE, start + page, nullptr, 1), -EPERM);
	EXPECT_EQ(device.call(DMIRROR_CHECK_EXCLUSIVE, start, nullptr, 1), 0);
	EXPECT_EQ(start[page], std::byte(5));
}

// A CPU that counts and a device that wants the page alone, again and again: both go on, and no count is lost.
SVM_TEST(Dmirror, ExclusiveAndTheCpuTakeTurns)
{
	dmirror device;
	mapping memory(page), buffer(page);
	auto &word = *reinterpret_cast<std::atomic<std::uint64_t> *>(memory.data());
	auto &got = *reinterpret_cast<std::uint64_t *>(buffer.data());
	int error = device.call(DMIRROR_EXCLUSIVE, memory.data(), buffer.data(), 1);
	if (error == -EOPNOTSUPP)
		GTEST_SKIP() << "this kernel cannot take pages from the CPU";
	ASSERT_EQ(error, 0);
	std::atomic<bool> stopping{false}; // relaxed: a request
	std::uint64_t counted = 0;
	std::thread cpu([&] {
		for (; !stopping.load(std::memory_order_relaxed); counted++)
			word.fetch_add(1);
	});
	std::uint64_t last = 0;
	for (unsigned i = 0; i < 300; i++) {
		error = device.call(DMIRROR_EXCLUSIVE, memory.data(), buffer.data(), 1);
		if (error || got < last) {
			ADD_FAILURE() << "error " << error << ", read " << got << " after " << last;
			break;
		}
		last = got;
	}
	stopping.store(true, std::memory_order_relaxed);
	cpu.join();
	EXPECT_EQ(word.load(), counted);
	EXPECT_GT(last, 0u) << "the CPU has had its turns";
}

SVM_TEST(Dmirror, NoRoomOnceIsNoFailure)
{
	dmirror device;
	mapping memory(8 * page), buffer(8 * page);
	memory.no_huge_pages();
	fill(memory, 1);
	EXPECT_EQ(device.call(DMIRROR_FLAGS, memory.data(), nullptr, 2), -EINVAL);
	EXPECT_EQ(device.call(DMIRROR_FLAGS, memory.data(), nullptr, DMIRROR_FLAG_FAIL_ALLOC), 0);
	if (!goes_there(device, memory))
		GTEST_SKIP() << no_memory;
	EXPECT_TRUE(holds(memory, 1));
}
