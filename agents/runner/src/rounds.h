// How much the runs of one round hang together: fleetnas_latency/rounds.py and speeds.py in this language.
#pragma once

#include "statistics.h"

// The quantile of all runs, with an interval that knows that runs of one moment resemble each other, and that holds
// what either end of the slow one's share would give where the device changes between two speeds.
Estimate estimate_rounds(const Rounds& rounds, double quantile, double level, double tick);
