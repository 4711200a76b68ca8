// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words of mm/fmt worked out by hand from the layouts. NVIDIA's are those that open-gpu-kernel-modules' own tests of its MMU formats expect, as
 * far as they are of memory that can be mirrored. Xe2's are in xe2_test.cpp.
 */
#include "mm/fmt/formats.hpp"

#include <cstring>
#include <gtest/gtest.h>

namespace svm_test
{

using svm::cache_policy, svm::leaf_attrs;

static constexpr leaf_attrs ro{false, false, SVM_SYSTEM}, rw{true, false, SVM_SYSTEM}, rwa{true, true, SVM_SYSTEM},
	rwa_uncached{true, true, SVM_SYSTEM, cache_policy::uncached}, rwa_noncoherent{true, true, SVM_SYSTEM, cache_policy::noncoherent},
	ro_vram{false, false, SVM_VRAM}, rwa_vram{true, true, SVM_VRAM};

TEST(golden_test, nv_v2)
{
	using F = svm::nv_v2;
	alignas(16) u64 pair[2] = {};

	EXPECT_EQ(F::leaf(4, 0x399999999999000, rwa_uncached), 0x3999999999990Du);
	EXPECT_EQ(F::leaf(4, 0x399999999999000, rwa), 0x39999999999905u);
	EXPECT_EQ(F::leaf(4, 0x399999999999000, rw), 0x39999999999985u);
	EXPECT_EQ(F::leaf(4, 0x399999999999000, ro), 0x399999999999C5u);
	EXPECT_EQ(F::leaf(4, 0x399999999999000, rwa_noncoherent), 0x39999999999907u);
	EXPECT_EQ(F::leaf(4, 0x1BBBBBB000, ro_vram), 0x1BBBBBBC1u);
	EXPECT_EQ(F::null_leaf(4), 0x8u);
	F::link(pair, 1, 0x399999999999000, SVM_SYSTEM);
	EXPECT_EQ(pair[0], 0x3999999999990Cu);
	F::link(pair, 1, 0x1BBBBBB000, SVM_VRAM);
	EXPECT_EQ(pair[0], 0x1BBBBBB0Au);
	EXPECT_EQ(pair[1], 0u);
	/* The big half leads 4 KiB further than the small one. */
	F::link(pair, F::dual, 0x1BBBBBB000, SVM_VRAM);
	EXPECT_EQ(pair[0], 0x1BBBBBC0Au);
	EXPECT_EQ(pair[1], 0x1BBBBBB0Au);
	F::store(pair, F::dual, F::leaf(3, 0x200000, rwa));
	EXPECT_EQ(pair[0], 0x20005u);
	EXPECT_EQ(pair[1], 0u) << "a leaf leaves no table beside it";
}

TEST(golden_test, nv_v3)
{
	using F = svm::nv_v3;
	alignas(16) u64 pair[2] = {};

	EXPECT_EQ(F::leaf(5, 0x9999999999000, rwa_uncached), 0x999999999968Du);
	EXPECT_EQ(F::leaf(5, 0x9999999999000, rwa), 0x9999999999685u);
	/* The words that the tests there have for these count accesses: bit 7. */
	EXPECT_EQ(F::leaf(5, 0x9999999999000, rw), 0x9999999999645u | 1 << 7);
	EXPECT_EQ(F::leaf(5, 0x9999999999000, ro), 0x9999999999665u | 1 << 7);
	EXPECT_EQ(F::leaf(5, 0xBBBBBBB000, ro_vram), 0xBBBBBBB661u | 1 << 7);
	EXPECT_EQ(F::null_leaf(5), 0x8u);
	F::link(pair, 2, 0x9999999999000, SVM_SYSTEM);
	EXPECT_EQ(pair[0], 0x999999999900Cu);
	F::link(pair, F::dual, 0xBBBBBBB000, SVM_VRAM);
	EXPECT_EQ(pair[0], 0xBBBBBBC00Au);
	EXPECT_EQ(pair[1], 0xBBBBBBB00Au);
}

/* valid 1, system 2, snooped 4, executable 10, readable 20, writeable 40; fragment from bit 7 on. */
TEST(golden_test, amd_gfx9)
{
	using F = svm::amd_gfx9;
	u64 e = 0;

	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa), 0x123456789077u);
	EXPECT_EQ(F::leaf(3, 0x123456789000, ro), 0x123456789037u);
	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa_noncoherent), 0x123456789073u);
	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa_uncached), 0x0600123456789077u);
	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa_vram), 0x123456789071u);
	EXPECT_EQ(F::leaf(2, 0x123456600000, rwa), 0x00401234566004f7u);
	EXPECT_EQ(F::leaf(1, 0x123440000000, ro_vram), 0x0040123440000931u);
	EXPECT_EQ(F::with_hint(F::leaf(3, 0x10000, rwa), 4), 0x10277u);
	EXPECT_EQ(F::null_leaf(3), 1ull << 51);
	EXPECT_EQ(F::null_leaf(2), 1ull << 51 | 1ull << 54);
	EXPECT_EQ(F::empty(3), 0x10u);
	EXPECT_EQ(F::empty(2), 1ull << 54);
	F::link(&e, 2, 0x123456789000, SVM_SYSTEM);
	EXPECT_EQ(e, 0x123456789007u);
	F::link(&e, 2, 0x7000, SVM_VRAM);
	EXPECT_EQ(e, 0x7001u);
}

TEST(golden_test, amd_gfx12)
{
	using F = svm::amd_gfx12;

	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa), 0x8000123456789077u);
	EXPECT_EQ(F::leaf(3, 0x123456789000, rwa_uncached), 0x80c0123456789077u);
	EXPECT_EQ(F::leaf(2, 0x123456600000, rwa), 0x80001234566004f7u);
	EXPECT_EQ(F::null_leaf(3), 0x8100000000000006u);
	EXPECT_EQ(F::empty(3), 0x8000000000000010u);
	EXPECT_EQ(F::empty(1), 0x8000000000000000u);
}

/* In memory, byte by byte. */
TEST(golden_test, mlx5_odp)
{
	using F = svm::mlx5_odp;
	alignas(16) unsigned char ksm[16] = {}, mtt[8];
	const unsigned char expect_ksm[16] = {0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78}, expect_mtt[8] = {0, 0, 0x12, 0x34, 0x56, 0x78, 0x90, 3};

	F::link(ksm, 2, 0x12345678, SVM_SYSTEM);
	EXPECT_EQ(memcmp(ksm, expect_ksm, 16), 0);
	F::store(mtt, 3, F::leaf(3, 0x123456789000, rwa));
	EXPECT_EQ(memcmp(mtt, expect_mtt, 8), 0);
	EXPECT_EQ(F::leaf(3, 0x1000, ro), 0x1001u);
}

} // namespace svm_test
