// Several networks that take turns, between two looks at the anchor: fleetnas_latency/batch.py and anchored_batch.py.
#pragma once

#include <string>
#include <vector>

#include "sampling.h"

struct Batch {
    Raw raw;
    std::vector<Raw> looks;  // the anchor alone before and after; empty without an anchor
    int repeat_count = 0;    // batches before this one that were thrown away because the anchor had drifted
};

// Rounds in which each network and the anchor have one turn, in another random order each time. Where the anchor
// drifted beyond the plan's limit the device rests and the batch is measured again, three times at most.
// seed: of the order; anchor may be null.
Batch measure_batch(
    const std::vector<Runner*>& candidates, Runner* anchor, const Plan& plan, const std::string& seed,
    const Surroundings& around);
