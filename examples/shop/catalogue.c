/* catalogue.c - the table of products with their drawings. */
#include "catalogue.h"

#include <assert.h>

/* A soft shadow on the ground, under most of them. */
#define GROUND(rx) "<ellipse cx='100' cy='127' rx='" rx "' ry='5' fill='#000' opacity='.09'/>"

static const struct product products[SKU_MAX] = {
    {"Enamel mug", 1450, "Two layers of enamel on steel. Survives the sink and the mountain.",
     "#dfeaf1",
     GROUND("44") "<path d='M136 66h9a17 17 0 0 1 0 38h-11' fill='none' stroke='#2f5d7c' "
                  "stroke-width='8'/><path d='M64 50h74l-5 68a9 9 0 0 1-9 8H78a9 9 0 0 1-9-8z' "
                  "fill='#fbfdfe'/><path d='M64 50h74l-5 68a9 9 0 0 1-9 8h-14c9-18 13-46 11-76z' "
                  "fill='#e3ebf0'/><rect x='60' y='45' width='82' height='8' rx='4' "
                  "fill='#2f5d7c'/><circle cx='94' cy='86' r='12' fill='#f0b44c'/>"},
    {"Linen notebook", 1290, "192 dotted pages that lie flat, bound in linen.", "#f3e6dc",
     GROUND("40") "<rect x='66' y='26' width='72' height='100' rx='5' fill='#b4533c'/><rect "
                  "x='132' y='31' width='6' height='92' fill='#f7f1e8'/><rect x='66' y='26' "
                  "width='13' height='100' rx='4' fill='#8f3f2d'/><rect x='118' y='26' width='6' "
                  "height='100' fill='#2b2b33'/><rect x='88' y='48' width='22' height='15' rx='2' "
                  "fill='#f7e7d2'/><path d='M104 126v12l4-4 4 4v-12z' fill='#e8c15a'/>"},
    {"Desk lamp", 6900, "A joint that stays where you leave it, and a warm dimmable light.",
     "#ece7f4",
     "<path d='M92 62l52 62H62z' fill='#ffe9a8' opacity='.75'/>" GROUND(
         "40") "<path d='M142 122L126 74l-24-30' fill='none' stroke='#3b3452' stroke-width='6' "
               "stroke-linecap='round' stroke-linejoin='round'/><circle cx='126' cy='74' r='6' "
               "fill='#6b5fa0'/><path d='M84 68l28-36a8 8 0 0 1 12 9l-8 36z' fill='#6b5fa0' "
               "transform='rotate(-24 104 52)'/><rect x='116' y='119' width='50' height='8' "
               "rx='4' fill='#3b3452'/>"},
    {"Wool socks", 1890, "Merino, with reinforced heels. One pair of a dozen you will not lose.",
     "#e2efe6",
     GROUND(
         "46") "<path d='M112 26h28v52c0 9 2 13 9 19l8 7c12 11 3 23-11 21-15-2-25-8-31-20-3-6-3-"
               "11-3-20z' fill='#3d7a5c'/><path d='M72 26h28v52c0 9 2 13 9 19l8 7c12 11 3 23-11 "
               "21-15-2-25-8-31-20-3-6-3-11-3-20z' fill='#57a37d'/><path d='M72 26h28v13H72zM112 "
               "26h28v13h-28z' fill='#f6f1e3'/><path d='M72 50h28v6H72zM72 62h28v6H72z' "
               "fill='#f6f1e3' opacity='.8'/><path d='M110 120c4-8 8-11 14-10 4 8 0 15-13 15z' "
               "fill='#e69a5b'/>"},
    {"Stoneware teapot", 4800, "One litre, a spout that does not drip, a lid that does not fall.",
     "#f4ecd9",
     GROUND(
         "50") "<path d='M142 78c24-10 30 30 0 34' fill='none' stroke='#7d5a3c' "
               "stroke-width='8'/><path d='M62 90C46 88 44 66 34 60l10-4c12 6 14 16 26 18z' "
               "fill='#9a7250'/><path d='M56 92c0-26 20-40 46-40s46 14 46 40c0 22-16 34-46 34S56 "
               "114 56 92z' fill='#b98d64'/><path d='M56 92c0 22 16 34 46 34s46-12 46-34c-22 "
               "14-70 14-92 0z' fill='#7d5a3c'/><path d='M80 56c2-10 42-10 44 0z' "
               "fill='#7d5a3c'/><circle cx='102' cy='43' r='6' fill='#b98d64'/>"},
    {"Beeswax candle", 950, "Hand poured, forty hours of light, smells of summer.", "#fbead1",
     "<circle cx='100' cy='46' r='34' fill='#fff6d8'/><circle cx='100' cy='46' r='20' "
     "fill='#ffe9a3'/>" GROUND(
         "34") "<rect x='76' y='68' width='48' height='56' rx='5' "
               "fill='#eab44a'/><path d='M108 68h16v51a5 5 0 0 1-5 "
               "5h-11z' fill='#d59a32'/><path d='M76 73c0-7 48-7 48 0v8c-3 8-8 "
               "6-9 0-2-5-8-5-9 1-2 14-10 12-11 1-1-6-9-6-10 0s-9 4-9-4z' "
               "fill='#f6cf7a'/><path d='M100 70V58' stroke='#5b4326' "
               "stroke-width='3'/><path d='M100 32c8 11 10 16 10 20a10 10 0 0 "
               "1-20 0c0-4 2-9 10-20z' fill='#f08a3c'/><path d='M100 44c4 5 5 "
               "8 5 10a5 5 0 0 1-10 0c0-2 1-5 5-10z' fill='#ffe27a'/>"},
    {"Wall clock", 5400, "A quiet movement and a face you can read across the room.", "#e0eceb",
     "<circle cx='102' cy='80' r='50' fill='#000' opacity='.08'/><circle cx='100' cy='76' r='50' "
     "fill='#24564f'/><circle cx='100' cy='76' r='42' fill='#fcfdfb'/><path d='M100 39v7M100 "
     "106v7M63 76h7M130 76h7' stroke='#24564f' stroke-width='4' stroke-linecap='round'/><path "
     "d='M118 45l-2 4M131 58l-4 2M131 94l-4-2M118 107l-2-4M82 107l2-4M69 94l4-2M69 58l4 2M82 45l2 "
     "4' stroke='#9db8b3' stroke-width='3' stroke-linecap='round'/><path d='M100 76V52M100 76l19 "
     "12' stroke='#1f2a2a' stroke-width='5' stroke-linecap='round'/><path d='M100 76L84 96' "
     "stroke='#d9563f' stroke-width='2.5' stroke-linecap='round'/><circle cx='100' cy='76' r='4.5' "
     "fill='#d9563f'/>"},
    {"Potted fig", 3250, "A young fig in a terracotta pot. Forgives a forgotten week.", "#e7f0dc",
     GROUND("34") "<path d='M100 90V44' stroke='#6b4b2f' stroke-width='4'/><path d='M100 72C74 74 "
                  "62 58 64 44c20-2 34 10 36 28z' fill='#4f8a4a'/><path d='M100 64c2-22 16-34 "
                  "38-30 1 18-14 32-38 30z' fill='#6ba95f'/><path d='M100 46C86 40 84 24 92 "
                  "14c14 6 18 22 8 32z' fill='#3f7440'/><path d='M100 86c6-16 20-22 34-16-2 14-16 "
                  "22-34 16z' fill='#4f8a4a'/><path d='M74 92h52l-6 30a6 6 0 0 1-6 5H86a6 6 0 0 "
                  "1-6-5z' fill='#c8704a'/><rect x='70' y='84' width='60' height='12' rx='3' "
                  "fill='#dd875f'/>"},
    {"Canvas tote", 2200, "Heavy cotton that carries fifteen kilos and folds to nothing.",
     "#efe9df",
     GROUND(
         "42") "<path d='M80 60c0-46 40-46 40 0' fill='none' stroke='#b08a4f' "
               "stroke-width='6'/><path d='M60 56h80l6 64a6 6 0 0 1-6 7H60a6 6 0 0 1-6-7z' "
               "fill='#f8f3e6'/><path d='M60 56h80l1 11H59z' fill='#e6dcc4'/><path d='M82 "
               "108V90l18-12 18 12v18z' fill='#33628a'/><path d='M76 92l24-17 24 17' fill='none' "
               "stroke='#33628a' stroke-width='5' stroke-linecap='round' "
               "stroke-linejoin='round'/><rect x='95' y='94' width='10' height='14' "
               "fill='#f8f3e6'/>"},
    {"Fountain pen", 7900, "A steel nib that learns your hand. With a converter for ink.",
     "#e3e5f3",
     "<path d='M40 126c20-10 30 8 48-2s34 4 60-6' fill='none' stroke='#3f4f9b' stroke-width='3' "
     "stroke-linecap='round' opacity='.75'/><g transform='rotate(38 100 74)'><rect x='38' y='64' "
     "width='86' height='20' rx='10' fill='#27306b'/><rect x='92' y='64' width='7' height='20' "
     "fill='#e2b659'/><path d='M124 66h18v16h-18z' fill='#1a2150'/><path d='M142 66l32 8-32 8z' "
     "fill='#e2b659'/><path d='M150 74h20' stroke='#8a6a24' stroke-width='1.5'/><circle cx='151' "
     "cy='74' r='2' fill='#8a6a24'/><path d='M50 68h34' stroke='#e2b659' stroke-width='4' "
     "stroke-linecap='round'/></g>"},
    {"Storm umbrella", 5900, "Fibreglass ribs that turn inside out, and back again.", "#f6e1e0",
     "<path d='M100 70v46c0 14-20 14-20 2' fill='none' stroke='#51363a' stroke-width='5' "
     "stroke-linecap='round'/><path d='M36 76c4-36 32-54 64-54s60 18 64 54c-10-10-22-10-32 "
     "0-10-10-22-10-32 0-10-10-22-10-32 0-10-10-22-10-32 0z' fill='#c8434a'/><path d='M68 76c2-24 "
     "14-46 32-54 18 8 30 30 32 54-10-10-22-10-32 0-10-10-22-10-32 0z' fill='#e0666a'/><path "
     "d='M100 22v-8' stroke='#51363a' stroke-width='5' stroke-linecap='round'/><path d='M46 "
     "98l-4 12M150 96l-4 12M166 112l-4 12M62 114l-3 9' stroke='#7fa6c9' stroke-width='4' "
     "stroke-linecap='round'/>"},
    {"Paper kite", 2650, "Takes off in a light breeze. Twenty metres of line, two of tail.",
     "#dcebf8",
     "<path d='M22 116c16-10 26-2 34 0 12-12 30-6 32 4 10-4 20-2 22 6H20c-6-2-4-8 2-10z' "
     "fill='#fff' opacity='.9'/><path d='M116 14l40 42-62 52-18-62z' fill='#f0b44c'/><path d='M116 "
     "14l40 42-46-3z' fill='#e4703f'/><path d='M76 46l34 7-16 55z' fill='#3f86b5'/><path d='M116 "
     "14L94 108M76 46l80 10' stroke='#fff' stroke-width='2.5'/><path d='M94 108c-2 10 12 10 14 "
     "18s14 4 22 12' fill='none' stroke='#2d4254' stroke-width='2.5'/><path d='M102 114l-2 11 "
     "12-4zM120 126l-1 11 11-6z' fill='#e4703f'/>"},
};

const struct product *catalogue_product(int sku)
{
    assert(sku >= 1 && sku <= SKU_MAX);
    return &products[sku - 1];
}
