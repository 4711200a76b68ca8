// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ioctl numbers: those of svm_drm.h lie where no driver has its own, svgpu's lie elsewhere, and no two are the same. The
 * headers are read as text, so that an ioctl that is added is looked at as well.
 */
#include <cstdint>
#include <drm/svgpu_drm.h>
#include <drm/svm_drm.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <sys/ioctl.h>

namespace
{

/* The ioctls of a header, by name, with their numbers from DRM_COMMAND_BASE on. */
std::map<std::string, unsigned> ioctls(const std::string &header, const std::string &prefix)
{
	std::ifstream file(std::string(UAPI_FOLDER "/drm/") + header);
	std::string text{std::istreambuf_iterator<char>(file), {}};
	std::regex request("#define DRM_IOCTL_(" + prefix + "_\\w+)");
	std::map<std::string, unsigned> all;

	for (std::sregex_iterator it(text.begin(), text.end(), request), end; it != end; ++it) {
		std::string name = (*it)[1];
		std::smatch number;

		EXPECT_TRUE(std::regex_search(text, number, std::regex("#define DRM_" + name + "\\s+(0x[0-9a-f]+)\n"))) << name;
		all[name] = unsigned(std::stoul(number[1], nullptr, 16));
	}
	return all;
}

} // namespace

TEST(ioctl_numbers_test, those_of_svm_and_of_a_driver_do_not_meet)
{
	std::map<std::string, unsigned> svm = ioctls("svm_drm.h", "SVM"), driver = ioctls("svgpu_drm.h", "SVGPU");
	std::set<unsigned> taken;

	EXPECT_GE(svm.size(), 6u);
	EXPECT_GE(driver.size(), 4u);
	for (const auto &[name, number] : svm) {
		EXPECT_GE(number, 0x50u) << name;
		EXPECT_LE(number, 0x5fu) << name; /* DRM_COMMAND_END is 0xa0 */
		EXPECT_TRUE(taken.insert(number).second) << name;
	}
	for (const auto &[name, number] : driver) {
		EXPECT_LT(number, 0x50u) << name;
		EXPECT_TRUE(taken.insert(number).second) << name;
	}
}

/* What the text says is what the compiler makes of it. */
TEST(ioctl_numbers_test, requests)
{
	EXPECT_EQ(_IOC_NR(DRM_IOCTL_SVM_VM_CREATE), 0x40u + 0x50u);
	EXPECT_EQ(_IOC_NR(DRM_IOCTL_SVM_QUERY), 0x40u + 0x54u);
	EXPECT_EQ(_IOC_NR(DRM_IOCTL_SVGPU_QUEUE_CREATE), 0x40u);
	EXPECT_LT(_IOC_NR(DRM_IOCTL_SVM_QUERY), unsigned(DRM_COMMAND_END));
}
