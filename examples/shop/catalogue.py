"""What the shop sells, and in which order it shows it to somebody whose taste it may know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One thing on the shelf.

    Attributes:
        slug: its name in addresses.
        name: its name on the page.
        kind: what tastes alike has the same kind.
        drawing: which drawing stands for it: "bottle", "wheel", "tin", "bag" or "jar".
        words: one or two sentences about it.
        origin: where it comes from.
        size: how much of it.
        cents: its price in cents of a euro, tax included.
    """

    slug: str
    name: str
    kind: str
    drawing: str
    words: str
    origin: str
    size: str
    cents: int

    @property
    def price(self) -> str:
        """The price as it is written in Spain."""
        return f"{self.cents // 100},{self.cents % 100:02d} €"


MILD, ROBUST = "aceites suaves", "aceites intensos"
CHEESE, TIN, SALT, SWEET = "quesos curados", "conservas", "sales", "dulces"

PRODUCTS: tuple[Product, ...] = (
    Product(
        "arbequina",
        "Aceite arbequina",
        MILD,
        "bottle",
        "De aceituna temprana: dulce, con recuerdo de manzana y almendra. Para ensaladas y pan.",
        "Les Garrigues, Lleida",
        "500 ml",
        1250,
    ),
    Product(
        "empeltre",
        "Aceite empeltre",
        MILD,
        "bottle",
        "Suave y dorado, de olivos centenarios. Para mayonesas, pescado y repostería.",
        "Bajo Aragón, Teruel",
        "500 ml",
        1180,
    ),
    Product(
        "picual",
        "Aceite picual",
        ROBUST,
        "bottle",
        "Amargo y picante, con olor a tomatera. Aguanta el fuego y los guisos largos.",
        "Sierra Mágina, Jaén",
        "500 ml",
        1090,
    ),
    Product(
        "manchego",
        "Manchego de doce meses",
        CHEESE,
        "wheel",
        "Leche cruda de oveja y un año de cueva. Firme, con un punto picante al final.",
        "Campo de Montiel, Ciudad Real",
        "700 g",
        2490,
    ),
    Product(
        "mahon",
        "Mahón curado",
        CHEESE,
        "wheel",
        "Corteza untada de aceite y pimentón, pasta quebradiza y sabor a avellana.",
        "Ciutadella, Menorca",
        "600 g",
        1875,
    ),
    Product(
        "anchoas",
        "Anchoas en aceite",
        TIN,
        "tin",
        "Sobadas a mano, una a una, después de ocho meses en sal.",
        "Santoña, Cantabria",
        "90 g",
        980,
    ),
    Product(
        "flor-de-sal",
        "Flor de sal",
        SALT,
        "bag",
        "Se recoge a mano las tardes de verano, cuando el viento la cuaja sobre el agua.",
        "Es Trenc, Mallorca",
        "150 g",
        640,
    ),
    Product(
        "miel",
        "Miel de romero",
        SWEET,
        "jar",
        "Clara, fluida y muy aromática. De colmenas que pasan la primavera en el monte bajo.",
        "La Alcarria, Guadalajara",
        "500 g",
        890,
    ),
)
BY_SLUG = {product.slug: product for product in PRODUCTS}


@dataclass(frozen=True, slots=True)
class Taste:
    """What somebody likes, worked out from what they bought and forgotten after the page.

    Attributes:
        kinds: the kinds they bought, the most often bought first.
        chosen: what they may like, in the order to show it.
    """

    kinds: tuple[str, ...]
    chosen: tuple[Product, ...]


def taste_of(bought: Sequence[str], looking_at: str, most: int = 3) -> Taste:
    """Return what somebody who bought this may like.

    Args:
        bought: slugs of what they bought, with repetitions.
        looking_at: slug of the product that is shown anyway.
        most: how many to choose.
    """
    counts = Counter(BY_SLUG[slug].kind for slug in bought if slug in BY_SLUG)
    kinds = [kind for kind, _count in counts.most_common()]
    liked = [product for product in PRODUCTS if product.kind in kinds]
    liked.sort(key=lambda product: kinds.index(product.kind))
    chosen = [product for product in liked if product.slug != looking_at]
    return Taste(tuple(kinds), tuple(chosen[:most]))


def neighbours(slug: str, most: int = 3) -> tuple[Product, ...]:
    """Return the products that stand next on the shelf: the same for everybody."""
    start = PRODUCTS.index(BY_SLUG[slug]) + 1
    return (PRODUCTS * 2)[start : start + most]
