// SPDX-License-Identifier: GPL-2.0-only
// What is freed after a grace period: port_defer() takes it, and svm_port_deferred() gets it back and frees it by its kind.
#pragma once

#include "mm/port.h"

namespace svm {

enum class deferred_kind : u8 { table, directory, span };

struct deferred {
	port_deferred link{};
	deferred_kind kind;

	explicit deferred(deferred_kind k) : kind(k) {}
};

inline void defer(port_domain *domain, deferred &d)
{
	port_defer(domain, &d.link, &d);
}

} // namespace svm
