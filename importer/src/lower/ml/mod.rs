//! ai.onnx.ml: what scikit-learn, XGBoost and LightGBM export. Decisions as onnxruntime makes them, where
//! ONNX leaves them open; where the two contradict each other, refused.

mod columns;
mod encode;
mod linear;
mod post;
mod scale;
mod svm;
mod tree;

use super::table::{Row, row};

/// `ai.onnx.ml`. How to add a row: `lower/table.rs`.
#[rustfmt::skip] // A row is a line of a table.
pub(super) const TABLE: &[Row] = &[
    row("Scaler", scale::scaler, "(x - offset) * scale", ""),
    row("Normalizer", scale::normalizer, "n = 0 ? x : x / n with n = max(x), sum of abs x, sqrt of the sum of squares", ""),
    row("Imputer", scale::imputer, "Where(x is NaN or equals the value, imputed, x)", ""),
    row("Binarizer", scale::binarizer, "x > threshold as 1 or 0", "f32"),
    row("OneHotEncoder", encode::one_hot, "Equal with the categories, cast; `zeros` = 0: Gather from the unit matrix, so that an unknown category fails the call", "up to 65536 categories; strings: columns of an input"),
    row("LabelEncoder", encode::label, "position of the key by Equal and a sum, then Gather from values and default", "up to 65536 keys; strings: columns of an input"),
    row("CategoryMapper", encode::category_mapper, "as LabelEncoder", "as LabelEncoder"),
    row("ArrayFeatureExtractor", columns::extract, "Gather", ""),
    row("FeatureVectorizer", columns::vectorize, "Concat", ""),
    row("LinearRegressor", linear::regressor, "Gemm with transposed coefficients, post-transform", "post-transforms of a single score and PROBIT are refused: runtimes disagree"),
    row("LinearClassifier", linear::classifier, "Gemm with transposed coefficients, post-transform, arg-max (one score: score > 0)", "as LinearRegressor; a score for each class, or one for two"),
    row("SVMRegressor", svm::regressor, "kernel by MatMul (RBF: ReduceSumSquare of differences), then Gemm with coefficients and rho; one-class: score > 0 ? 1 : -1", "as LinearRegressor"),
    row("SVMClassifier", svm::classifier, "kernel as SVMRegressor; a decision for each pair of classes by one Gemm (0 where a vector takes no part), votes by Gemm, arg-max; two classes: (-decision, decision), as onnxruntime orders them. With prob_a: 1 / (1 + exp(a * decision + b)) within [1e-7, 1 - 1e-7] for each pair, PairwiseCoupling", "with support vectors; post-transforms of two classes other than NONE and LOGISTIC are refused"),
    row("TreeEnsembleRegressor", tree::regressor, "TreeEnsemble with leaf values as integers (parts that trees share are copied), post-transform", "the number of columns is known; post-transforms of a single score and PROBIT are refused"),
    row("TreeEnsembleClassifier", tree::classifier, "TreeEnsemble with leaf values as integers, post-transform, arg-max", "as TreeEnsembleRegressor; two classes: the weights of one"),
    row("TreeEnsemble", tree::ensemble, "TreeEnsemble with leaf values as integers, post-transform; membership in a set: a chain of Equal", "as TreeEnsembleRegressor"),
    row("ZipMap", columns::zip_map, "nothing: the output is the probability matrix, columns in class order", ""),
];
