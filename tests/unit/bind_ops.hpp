/* SPDX-License-Identifier: GPL-2.0-only */
/* Operations of svm_bind_many(), by kind. */
#ifndef SVM_TESTS_UNIT_BIND_OPS_HPP
#define SVM_TESTS_UNIT_BIND_OPS_HPP

#include "svm/svm.h"

namespace svm_test
{

inline svm_bind_op mirror(u64 start, u64 end, s64 offset = 0)
{
	return {start, end, offset, SVM_BIND_MIRROR, 0, nullptr};
}

inline svm_bind_op null(u64 start, u64 end)
{
	return {start, end, 0, SVM_BIND_NULL, 0, nullptr};
}

inline svm_bind_op hole(u64 start, u64 end)
{
	return {start, end, 0, SVM_BIND_NOTHING, 0, nullptr};
}

inline svm_bind_op object(u64 start, u64 end, svm_object *of, u64 offset = 0, u32 flags = 0)
{
	return {start, end, s64(offset), SVM_BIND_OBJECT, flags, of};
}

} // namespace svm_test

#endif
