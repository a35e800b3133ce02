"""How well the texts of a page can be read."""

# Contrast of every text to its ground, as WCAG 2.1 defines it: the texts below 4.5, as (ratio, text).
PALE = """() => {
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const over = (top, below) => top.slice(0, 3).map((c, n) => c * (top[3] ?? 1) + below[n] * (1 - (top[3] ?? 1)));
    const light = (rgb) => rgb.map((c) => c / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const ground = (element) => {
        if (!element) return [255, 255, 255];
        const own = parts(getComputedStyle(element).backgroundColor);
        return (own[3] ?? 1) === 1 ? own : over(own, ground(element.parentElement));
    };
    const found = [];
    for (const element of document.querySelectorAll("main *")) {
        const words = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data);
        const text = words.join("").trim();
        const box = element.getBoundingClientRect(), style = getComputedStyle(element);
        if (!text || !box.width || !box.height || style.visibility === "hidden" || style.opacity === "0") continue;
        const below = ground(element), shown = over(parts(style.color), below);
        const [low, high] = [light(shown), light(below)].sort((a, b) => a - b);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) found.push([Math.round(ratio * 100) / 100, text]);
    }
    return found;
}"""
