/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of every format run on: the list of mm/fmt/vendors.hpp. Another format is tested by adding its name
 * there, and a walker for it to tools/svgpud/mmu.
 */
#ifndef SVM_TESTS_UNIT_ALL_FORMATS_HPP
#define SVM_TESTS_UNIT_ALL_FORMATS_HPP

#include "mm/fmt/formats.hpp"

#include <gtest/gtest.h>

namespace svm_test
{

template <typename List>
struct types_of;
template <typename... F>
struct types_of<svm::format_list<F...>> {
	using type = ::testing::Types<F...>;
};
using all_formats = types_of<svm::formats>::type;

/* Names tests after their format. */
struct format_names {
	template <typename F>
	static std::string GetName(int)
	{
		return F::name;
	}
};

} // namespace svm_test

#endif
