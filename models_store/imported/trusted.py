"""The types that a skops file may hold. The list is ours and fixed: no file and no setting adds to it.

A type is on it because neither its making nor its use runs code that a file can choose.
"""

from __future__ import annotations

_ESTIMATORS = {
    "calibration": "CalibratedClassifierCV",
    "compose._column_transformer": "ColumnTransformer",
    "compose._target": "TransformedTargetRegressor",
    "decomposition._pca": "PCA",
    "decomposition._truncated_svd": "TruncatedSVD",
    "discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "dummy": "DummyClassifier DummyRegressor",
    "ensemble._bagging": "BaggingClassifier BaggingRegressor",
    "ensemble._forest": "ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier"
    " RandomForestRegressor",
    "ensemble._hist_gradient_boosting.gradient_boosting": "HistGradientBoostingClassifier"
    " HistGradientBoostingRegressor",
    "ensemble._stacking": "StackingClassifier StackingRegressor",
    "ensemble._voting": "VotingClassifier VotingRegressor",
    "ensemble._weight_boosting": "AdaBoostClassifier AdaBoostRegressor",
    "feature_selection._from_model": "SelectFromModel",
    "feature_selection._univariate_selection": "SelectFdr SelectFpr SelectFwe SelectKBest SelectPercentile",
    "feature_selection._variance_threshold": "VarianceThreshold",
    "frozen._frozen": "FrozenEstimator",
    "gaussian_process._gpc": "GaussianProcessClassifier",
    "gaussian_process._gpr": "GaussianProcessRegressor",
    "impute._base": "MissingIndicator SimpleImputer",
    "kernel_ridge": "KernelRidge",
    "linear_model._base": "LinearRegression",
    "linear_model._bayes": "ARDRegression BayesianRidge",
    "linear_model._coordinate_descent": "ElasticNet ElasticNetCV Lasso LassoCV",
    "linear_model._glm.glm": "GammaRegressor PoissonRegressor TweedieRegressor",
    "linear_model._huber": "HuberRegressor",
    "linear_model._least_angle": "Lars LarsCV LassoLars LassoLarsCV LassoLarsIC",
    "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
    "linear_model._omp": "OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV",
    "linear_model._passive_aggressive": "PassiveAggressiveClassifier PassiveAggressiveRegressor",
    "linear_model._perceptron": "Perceptron",
    "linear_model._quantile": "QuantileRegressor",
    "linear_model._ridge": "Ridge RidgeCV RidgeClassifier RidgeClassifierCV",
    "linear_model._stochastic_gradient": "SGDClassifier SGDRegressor",
    "linear_model._theil_sen": "TheilSenRegressor",
    "model_selection._classification_threshold": "FixedThresholdClassifier",
    "multiclass": "OneVsOneClassifier OneVsRestClassifier",
    "naive_bayes": "BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB",
    "neural_network._multilayer_perceptron": "MLPClassifier MLPRegressor",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing._data": "Binarizer MaxAbsScaler MinMaxScaler Normalizer PowerTransformer"
    " QuantileTransformer RobustScaler StandardScaler",
    "preprocessing._discretization": "KBinsDiscretizer",
    "preprocessing._encoders": "OneHotEncoder OrdinalEncoder",
    "preprocessing._function_transformer": "FunctionTransformer",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
    "preprocessing._polynomial": "PolynomialFeatures",
    "preprocessing._target_encoder": "TargetEncoder",
    "tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
}
"""Their fitted state is of plain values, or of trees that `trees` checks."""

_APART = {
    "cluster._kmeans": "KMeans MiniBatchKMeans",
    "ensemble._gb": "GradientBoostingClassifier GradientBoostingRegressor",
    "feature_extraction.text": "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer",
    "impute._knn": "KNNImputer",
    "isotonic": "IsotonicRegression",
    "kernel_approximation": "Nystroem RBFSampler",
    "neighbors._classification": "KNeighborsClassifier RadiusNeighborsClassifier",
    "neighbors._nearest_centroid": "NearestCentroid",
    "neighbors._regression": "KNeighborsRegressor RadiusNeighborsRegressor",
    "svm._classes": "LinearSVC LinearSVR NuSVC NuSVR SVC SVR",
}
"""Their fitted state reaches compiled code that believes it, or patterns and files that it names. They are
read in a process of its own and served compiled only."""

_PARTS_APART = {
    "metrics._dist_metrics": "EuclideanDistance64 ManhattanDistance64 MinkowskiDistance64",
    "neighbors._ball_tree": "BallTree",
    "neighbors._kd_tree": "KDTree",
}

_PARTS = {
    "_loss.link": "HalfLogitLink IdentityLink Interval LogitLink LogLink MultinomialLogit",
    "_loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss"
    " HalfPoissonLoss HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss",
    "_loss._loss": "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss"
    " CyHalfMultinomialLoss CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss"
    " CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss",
    "calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "gaussian_process.kernels": "CompoundKernel ConstantKernel DotProduct Exponentiation ExpSineSquared"
    " Matern Product RBF RationalQuadratic Sum WhiteKernel",
    "linear_model._sgd_fast": "EpsilonInsensitive Hinge ModifiedHuber SquaredEpsilonInsensitive"
    " SquaredHinge",
    "neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
    "tree._tree": "Tree",
    "utils._bunch": "Bunch",
}
"""What estimators hold once they are fitted."""


def _names(table: dict[str, str]) -> frozenset[str]:
    return frozenset(
        f"sklearn.{module}.{name}" for module, names in table.items() for name in names.split()
    )


TYPES = frozenset(
    {
        *(f"builtins.{name}" for name in ("bool", "float", "int", "str")),
        *(f"numpy.{name}" for name in ("bool", "bool_", "str_", "intp", "uintp")),
        *(f"numpy.{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"numpy.float{bits}" for bits in (16, 32, 64)),
    }
)
"""Types of values. They may stand for themselves too, as the `dtype` of an encoder."""

VALUES = TYPES | {
    *(f"builtins.{name}" for name in ("dict", "list", "set", "slice", "tuple")),
    "collections.OrderedDict",
    "numpy.dtype",
    "numpy.ma.MaskedArray",
    "numpy.ndarray",
    "numpy.random._generator.Generator",
    "numpy.random.mtrand.RandomState",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
}

FUNCTIONS = frozenset(
    {
        *(f"numpy.{name}" for name in ("abs", "absolute", "cbrt", "exp", "expm1", "log", "log10", "log1p")),
        *(f"numpy.{name}" for name in ("log2", "sqrt", "square", "mean", "median")),
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
    }
)
"""What parameters may name, as `FunctionTransformer(numpy.log1p)`."""

PARAMETERS = (_names(_ESTIMATORS) | _names(_APART) | VALUES) - {"sklearn.frozen._frozen.FrozenEstimator"}
"""An estimator that is not fitted."""

KEPT = _names(_ESTIMATORS) | _names(_PARTS) | VALUES
"""A fitted estimator that a server may load."""

READ = KEPT | _names(_APART) | _names(_PARTS_APART)
"""A fitted estimator that a process with limits may load, to compile it."""

LOADERS = frozenset(
    {
        *("DTypeNode", "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode", "MaskedArrayNode"),
        *("NdArrayNode", "ObjectNode", "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode"),
        *("SparseMatrixNode", "TreeNode", "TupleNode", "TypeNode"),
    }
)
"""Ways of skops to make an object. Those that call what a file names are left out: methods, operators,
partial functions, constructors."""
