// SPDX-License-Identifier: GPL-2.0-only
// The lies that are refusals: a flush or a clear is answered with SVGPU_SYNC_BAD, and the jobs go on.
#include "lying_rig.hpp"

#include <algorithm>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = lying_rig::va;

// Posts an operation that the device must refuse, and expects it to write to the page all the same.
void expect_refused_and_written_to(driver_rig &rig, const svgpu_sync &op, u64 at)
{
	EXPECT_EQ(rig.sync(op), unsigned{ SVGPU_SYNC_BAD });
	for (unsigned round = 0; round < 3; ++round) {
		rig.memory.put(at, SVGPU_SYSTEM, 0);
		wait_until("a write by a job that goes on", [&] { return rig.memory.get(at, SVGPU_SYSTEM) != 0; });
	}
}

struct refusal_case {
	const char *name;
	svgpu_sync op;
};

class evil_refusing : public testing::TestWithParam<refusal_case> {};

TEST_P(evil_refusing, does_not_do_it_and_goes_on)
{
	lying_rig rig(std::string("1:") + GetParam().name);
	u64 at = rig.memory.take(page);
	svgpu_done done;

	rig.pages.map(va, at);
	rig.submit(SVGPU_KERNEL_CAS_ADD, { va, ~u64{ 0 } });
	wait_until("the job", [&] { return rig.memory.get(at, SVGPU_SYSTEM) != 0; });
	rig.pages.unmap(va);
	expect_refused_and_written_to(rig, GetParam().op, at);
	// Each time that it is asked; the device listens, and does the other operations.
	expect_refused_and_written_to(rig, GetParam().op, at);
	EXPECT_FALSE(rig.try_done(done));
	rig.must({ .op = SVGPU_SYNC_QUEUE_SET, .context = rig.context, .queue = rig.queue + 1 });
	rig.begin_epoch(0x2002);
}

constexpr refusal_case refusals[] = {
	{ "bad-invalidate",
	  { .op = SVGPU_SYNC_INVALIDATE, .context = driver_rig::context, .start = va, .end = va + page } },
	{ "bad-clear", { .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = driver_rig::context } },
	{ "bad-queue-clear", { .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = driver_rig::queue } },
};

INSTANTIATE_TEST_SUITE_P(lies, evil_refusing, testing::ValuesIn(refusals), [](const auto &info) {
	std::string name = info.param.name;

	std::replace(name.begin(), name.end(), '-', '_');
	return name;
});

TEST(evil, a_wrong_status_is_never_that_of_a_flush_or_a_clear)
{
	lying_rig rig("1:malformed");
	unsigned wrong = 0;

	for (unsigned i = 0; i < 200; ++i) {
		rig.must({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = 0, .end = page });
		wrong += rig.sync({ .op = SVGPU_SYNC_QUEUE_SET, .context = rig.context, .queue = 9 }) != SVGPU_SYNC_OK;
		rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = 9 });
	}
	EXPECT_GT(wrong, 0u);
}

} // namespace
