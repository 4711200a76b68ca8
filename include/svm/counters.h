/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counters of a vm, in the order of struct drm_svm_counters, which says what each counts.
 * A file that includes this list defines SVM_COUNTER(name) before and undefines it after. The list
 * makes struct svm_counters, the core's enum, svmctl's report and the test; the documentation's
 * build fails if it differs from the uAPI's struct.
 */
SVM_COUNTER(faults),
SVM_COUNTER(duplicates),
SVM_COUNTER(retries),
SVM_COUNTER(failed),
SVM_COUNTER(ptes_written),
SVM_COUNTER(huge_leaves),
SVM_COUNTER(invalidations),
SVM_COUNTER(ptes_zapped),
SVM_COUNTER(huge_zapped),
SVM_COUNTER(flushes),
SVM_COUNTER(dirtied),
SVM_COUNTER(tables),
SVM_COUNTER(tables_made),
SVM_COUNTER(tables_freed),
SVM_COUNTER(directories),
SVM_COUNTER(intervals),
SVM_COUNTER(prefetched),
SVM_COUNTER(host_bytes),
SVM_COUNTER(device_bytes),
SVM_COUNTER(present),
SVM_COUNTER(stops),
SVM_COUNTER(moved_in),
SVM_COUNTER(moved_home)
