package dbn

import (
	"fmt"
	"slices"
)

// Schema is an id of section 5: which record type a file holds.
type Schema uint16

// SchemaMixed is a stream of several record types.
const SchemaMixed Schema = 0xFFFF

// Schemas that tickwire writes.
const (
	SchemaMbo        Schema = 0
	SchemaMbp1       Schema = 1
	SchemaMbp10      Schema = 2
	SchemaTrades     Schema = 4
	SchemaDefinition Schema = 9
	SchemaStatistics Schema = 10
	SchemaStatus     Schema = 11
	SchemaImbalance  Schema = 12
)

var schemaNames = []string{"mbo", "mbp-1", "mbp-10", "tbbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d",
	"definition", "statistics", "status", "imbalance", "ohlcv-eod", "cmbp-1", "cbbo-1s", "cbbo-1m", "tcbbo", "bbo-1s", "bbo-1m"}

// String is the schema's name on the wire.
func (s Schema) String() string {
	switch {
	case int(s) < len(schemaNames):
		return schemaNames[s]
	case s == SchemaMixed:
		return "mixed"
	}
	return fmt.Sprintf("schema %d", uint16(s))
}

// ParseSchema finds a schema by name.
func ParseSchema(name string) (Schema, error) {
	if i := slices.Index(schemaNames, name); i >= 0 {
		return Schema(i), nil
	}
	if name == "mixed" {
		return SchemaMixed, nil
	}
	return 0, fmt.Errorf("dbn: there is no schema %q; known: %v", name, schemaNames)
}

// SType is a kind of symbol, section 5.
type SType uint8

// Kinds of symbol that tickwire writes.
const (
	STypeInstrumentID SType = 0
	STypeRawSymbol    SType = 1
	STypeMixed        SType = 0xFF
)

var stypeNames = []string{"instrument_id", "raw_symbol", "smart", "continuous", "parent", "nasdaq_symbol", "cms_symbol",
	"isin", "us_code", "bbg_comp_id", "bbg_comp_ticker", "figi", "figi_ticker"}

// String is the kind's name on the wire.
func (s SType) String() string {
	switch {
	case int(s) < len(stypeNames):
		return stypeNames[s]
	case s == STypeMixed:
		return "mixed"
	}
	return fmt.Sprintf("stype %d", uint8(s))
}
