// SPDX-License-Identifier: GPL-2.0-only
/* What an exporter calls when it moves a dma-buf has its new name; it was move_notify. */
#include <linux/dma-buf.h>

extern struct dma_buf_attach_ops svm_probe;
struct dma_buf_attach_ops svm_probe = { .invalidate_mappings = NULL };
