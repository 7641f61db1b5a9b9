/* Prints where the compiler puts the fields of an instrument's entry, one "name offset bytes" a line in their order. See
 * abi_side_test.go. */
#include "tickring.h"

#include <stdio.h>

#define FIELD(name) printf("%s %d %d\n", #name, (int)offsetof(tw_inst, name), (int)sizeof(((tw_inst *)0)->name))

int main(void)
{
	FIELD(instrument_id);
	FIELD(publisher_id);
	FIELD(instrument_class);
	FIELD(flags);
	FIELD(raw_symbol);
	FIELD(min_price_increment);
	FIELD(round_lot);
	FIELD(contract_multiplier);
	FIELD(unit_of_measure_qty);
	FIELD(display_factor);
	FIELD(currency);
	FIELD(decimals);
	FIELD(status_action);
	FIELD(channel);
	FIELD(mic);
	FIELD(group);
	FIELD(security_type);
	FIELD(strike);
	FIELD(activation);
	FIELD(expiration);
	FIELD(definition_offset);
	FIELD(updated);
	FIELD(reserved_);
	return 0;
}
