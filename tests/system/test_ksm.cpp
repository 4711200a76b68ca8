// SPDX-License-Identifier: GPL-2.0-only
/* Row 13: pages of the same content that the kernel makes one. */
#include <cerrno>

#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

// The kernel's merger at work, in a hurry; what it merged is taken apart at the end.
class merger {
public:
	merger()
		: pages_("/sys/kernel/mm/ksm/pages_to_scan", "2000"), pause_("/sys/kernel/mm/ksm/sleep_millisecs", "10"),
		  run_("/sys/kernel/mm/ksm/run", "1")
	{
	}
	~merger() { EXPECT_TRUE(write_file("/sys/kernel/mm/ksm/run", "2")); }

private:
	setting pages_, pause_, run_;
};

bool one_page(const mapping &a, const mapping &b, std::size_t index)
{
	page_state left = state_of(&a.at(index)), right = state_of(&b.at(index));
	return left.present && right.present && left.frame == right.frame;
}

// Two mappings of 16 pages that may be merged, all of the same content.
struct twins {
	explicit twins(svmirror::queue &queue) : one(16 * page), two(16 * page)
	{
		for (mapping *each : {&one, &two}) {
			each->no_huge_pages();
			EXPECT_EQ(device_fill(queue, each->bytes(), std::byte{0x6d}), 0);
			EXPECT_EQ(madvise(each->data(), each->size(), MADV_MERGEABLE), 0);
		}
	}
	mapping one, two;
};

} // namespace

SVM_TEST(Row13Ksm, DeviceWriteUnshares)
{
	gpu gpu;
	twins pages(gpu.queue);
	mapping &one = pages.one, &two = pages.two;
	hammer busy(gpu.vm, two.bytes(), false);
	merger merger;
	for (std::size_t i : {3, 9}) {
		ASSERT_TRUE(eventually([&] { return one_page(one, two, i); })) << "never merged";
		EXPECT_DEVICE_READS(gpu.queue, &one.at(i), 0x6d);
		EXPECT_TRUE(one_page(one, two, i)) << "a read by the device has unshared the page";
		ASSERT_EQ(device_write(gpu.queue, &one.at(i), std::byte{0x99}), 0);
		EXPECT_EQ(one.at(i), std::byte{0x99});
		EXPECT_EQ(two.at(i), std::byte{0x6d}) << "the write has reached the other owner of the page";
		EXPECT_DEVICE_READS(gpu.queue, &two.at(i), 0x6d);
		EXPECT_FALSE(one_page(one, two, i));
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row13Ksm, MergedUnderTheDevicesWrites)
{
	gpu gpu;
	twins pages(gpu.queue);
	mapping &one = pages.one, &two = pages.two;
	// the device may write all of them and adds to one half; the other half is merged beside it
	adder adds(gpu.vm, one.bytes(0, 8));
	adds.wait_for(8);
	merger merger;
	for (unsigned round = 0; round < 3; round++) {
		ASSERT_TRUE(eventually([&] { return one_page(one, two, 12); })) << "never merged, round " << round;
		ASSERT_EQ(device_write(gpu.queue, &one.at(12), std::byte(round)), 0);
		EXPECT_EQ(two.at(12), std::byte{0x6d});
		ASSERT_EQ(device_write(gpu.queue, &one.at(12), std::byte{0x6d}), 0);
	}
	EXPECT_TRUE(adds.exact());
}
